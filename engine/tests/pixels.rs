//! Seats that hold pixels: the lane makes the numbers, and the answers are those to the numbers.

mod common;

use common::{BLUE, GREEN, RED, Served, asset, colour, load, reference};
use engine::Config;
use shm_proto::arena::Outcome;
use shm_proto::board::Counter;
use vision::tensor::Element;

#[test]
fn the_answer_to_pixels_is_the_answer_to_their_numbers() {
    for (name, max_batch) in [("yolov8.onnx", 1), ("yolov8.onnx", 4), ("batch4.onnx", 4)] {
        let config = Config { lanes: 2, max_batch, ..Config::default() };
        let mut served = Served::new(load(&config, &asset(name)), 8);
        let facts = &served.model.facts;
        assert_eq!((facts.spec.input.element, facts.seat.element), (Element::F32, Element::U8), "{name}");
        assert_eq!(facts.seat.bytes() * 4, facts.spec.input.bytes(), "{name}");

        let colours = [RED, GREEN, BLUE, RED];
        let bytes = |rgb: [f32; 3]| -> Vec<u8> {
            let plane = served.model.facts.seat.bytes() / 3;
            rgb.iter().flat_map(|value| std::iter::repeat_n((value * 255.0) as u8, plane)).collect()
        };
        let submitted: Vec<_> = colours.iter().map(|rgb| served.submit(&bytes(*rgb))).collect();
        served.start();
        for (rgb, seat) in colours.iter().zip(submitted) {
            let answer = served.answer(seat);
            assert_eq!(answer.outcome(), Outcome::Done, "{name}");
            let images = if name == "batch4.onnx" { 4 } else { 1 };
            let expected = reference(&served.model, images, &colour(&served.model, *rgb).repeat(images));
            let each = expected[0].len() / images;
            assert!(answer.output(0) == &expected[0][..each], "{name}: {rgb:?}");
        }
        if name == "yolov8.onnx" {
            assert_eq!(served.board.engine(0).counter(Counter::CopiedBytes), 0, "{name}: made, not copied");
        }
    }
}
