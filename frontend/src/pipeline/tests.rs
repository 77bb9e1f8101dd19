use super::*;
use crate::testing::{Rig, png};
use vision::tensor::Element;

#[test]
fn stages_sum_to_the_total_exactly() {
    let marks = Marks {
        arrived: 1_000,
        read: 1_300,
        decoding: 1_310,
        decoded: 2_000,
        writing: 2_500,
        submitted: 2_700,
        started: 2_701,
        ended: 9_000,
    };
    let times = marks.times(9_999);
    let total = times[Stage::Total as usize];
    assert_eq!(total, 8_999);
    assert_eq!(times.iter().sum::<u64>(), 2 * total);
    assert_eq!(times[Stage::Wait as usize], 10 + 500);
}

fn free_rows() -> OutputFacts {
    OutputFacts { name: "y".into(), element: Element::F32, shape: vec![3, 2], dynamic: true }
}

#[test]
fn a_free_axis_is_as_long_as_the_seat_says_and_no_longer_than_there_is_room() {
    let output = free_rows();
    for (said, rows) in [(0u64, 0), (2, 2), (3, 3), (4, 3), (u64::MAX, 3)] {
        let mut bytes = vec![0u8; output.bytes()];
        bytes[..8].copy_from_slice(&said.to_ne_bytes());
        let shape = shape_of(&output, &bytes);
        assert_eq!(shape, [rows, 2], "said {said}");
        assert_eq!(data_of(&output, &shape, &bytes).len(), rows * 8);
    }
}

#[test]
fn a_seat_smaller_than_described_is_read_as_nothing() {
    let output = free_rows();
    assert_eq!(shape_of(&output, &[1, 2]), [3, 2]);
    assert!(data_of(&output, &[3, 2], &[0; 80]).is_empty());
}

#[tokio::test]
async fn a_kept_picture_keeps_its_permit() {
    let rig = Rig::start();
    let attached = rig.service.link.current().expect("a model");
    let permits = || rig.service.pictures.available_permits();
    let all = permits();
    let now = clock::now();
    let order = |keep| Order {
        encoded: Encoded::Bytes(png(8, 8).into()),
        room: crate::inputs::roomy(),
        options: Options::of(&attached.facts.spec),
        keep,
        look: false,
        unsure: false,
        arrived: now,
        read: now,
        deadline: Nanos::MAX,
    };
    let found = run(&rig.service, &attached, order(true)).await.expect("an answer");
    assert_eq!(permits(), all - 1);
    drop(found);
    assert_eq!(permits(), all);
    let _found = run(&rig.service, &attached, order(false)).await.expect("an answer");
    assert_eq!(permits(), all);
}
