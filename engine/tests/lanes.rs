//! Lanes against models that fail, repeat, wait for company or must not mix up their images.

mod common;

use common::{BLUE, GREEN, RED, Served, asset, colour, load, reference};
use engine::Config;
use shm_proto::arena::Outcome;
use shm_proto::board::Counter;

#[test]
fn concurrent_lanes_never_mix_up_images() {
    let config = Config { lanes: 4, max_batch: 3, ..Config::default() };
    let mut served = Served::in_place(load(&config, &asset("yolov8.onnx")), 16);
    served.start();
    let colours: Vec<Vec<u8>> = [RED, GREEN, BLUE].map(|rgb| colour(&served.model, rgb)).into();
    let expected: Vec<_> = colours.iter().map(|input| reference(&served.model, 1, input)).collect();
    let served = &served;
    std::thread::scope(|scope| {
        for client in 0..6 {
            let (colours, expected) = (&colours, &expected);
            scope.spawn(move || {
                for turn in 0..50 {
                    let which = (client + turn) % 3;
                    let answer = served.answer(served.submit(&colours[which]));
                    assert_eq!(answer.outcome(), Outcome::Done);
                    assert!(answer.output(0) == &expected[which][0][..], "client {client}, turn {turn}");
                }
            });
        }
    });
    let figures = served.board.engine(0);
    assert_eq!(figures.counter(Counter::BatchedImages), 300);
    assert_eq!(figures.counter(Counter::FailedImages), 0);
    assert!(figures.counter(Counter::Batches) >= 100, "300 images in batches of at most three");
    assert!(figures.counter(Counter::RunNanos) > 0);
}

#[test]
fn a_failing_image_fails_alone() {
    let config = Config { lanes: 1, max_batch: 4, ..Config::default() };
    let mut served = Served::in_place(load(&config, &asset("fail.onnx")), 8);
    let colours = [BLUE, RED, GREEN, BLUE];
    let submitted: Vec<_> = colours.iter().map(|rgb| served.submit(&colour(&served.model, *rgb))).collect();
    served.start();
    let outcomes: Vec<Outcome> = submitted.into_iter().map(|seat| served.answer(seat).outcome()).collect();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Failed, Outcome::Done, Outcome::Done]);
    assert_eq!(served.board.engine(0).counter(Counter::FailedImages), 1);

    let again = served.answer(served.submit(&colour(&served.model, GREEN)));
    assert_eq!(again.outcome(), Outcome::Done, "the lane goes on");
    let expected = reference(&served.model, 1, &colour(&served.model, GREEN));
    assert!(again.output(0) == &expected[0][..]);
}

#[test]
fn a_batch_axis_that_the_file_fixes_is_filled_up_in_private_memory() {
    let config = Config { lanes: 1, ..Config::default() };
    let mut served = Served::in_place(load(&config, &asset("batch4.onnx")), 8);
    assert_eq!(served.model.facts.max_batch, 4);
    served.start();
    let whole = [BLUE, RED, GREEN, BLUE].map(|rgb| colour(&served.model, rgb)).concat();
    let expected = reference(&served.model, 4, &whole);
    let each = expected[0].len() / 4;

    let alone = served.answer(served.submit(&colour(&served.model, RED)));
    assert_eq!((alone.outcome(), alone.run().batch), (Outcome::Done, 1));
    assert!(alone.output(0) == &expected[0][each..2 * each]);
    let copied = served.board.engine(0).counter(Counter::CopiedBytes) as usize;
    assert_eq!(copied, served.model.runner.plan().input.bytes() + each, "one image in, one out");
}

#[test]
fn not_a_number_is_an_answer_that_the_frontend_judges() {
    let mut served = Served::in_place(load(&Config { lanes: 1, ..Config::default() }, &asset("nan.onnx")), 2);
    served.start();
    let answer = served.answer(served.submit(&colour(&served.model, RED)));
    assert_eq!(answer.outcome(), Outcome::Done);
    assert!(answer.output(0)[..4].try_into().map(f32::from_ne_bytes).unwrap().is_nan());
}
