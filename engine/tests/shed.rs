//! Giving memory back: the runtime takes the request for what it is, and answers afterwards are those of before.

mod common;

use common::{RED, asset, colour, load, reference};
use engine::Config;

#[test]
fn a_model_that_gave_memory_back_answers_as_before() {
    for name in ["yolov8.onnx", "batch4.onnx"] {
        let model = load(&Config { lanes: 2, idle_threads: 2, ..Config::default() }, &asset(name));
        let images = model.runner.plan().fixed_batch.unwrap_or(1);
        let input = colour(&model, RED).repeat(images);
        let before = reference(&model, images, &input);
        model.runner.shed(images, &input).unwrap();
        assert!(reference(&model, images, &input) == before, "{name}");
        let short = &input[4..];
        assert!(model.runner.shed(images, short).is_err(), "{name}: not the size of its input");
    }
}
