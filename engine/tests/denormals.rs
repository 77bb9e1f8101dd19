//! Lanes treat numbers next to zero as zero. The runtime sets this for the thread that makes the first session of a
//! process, so this file has one test: a second could make that session on a thread of its own.

mod common;

use common::{asset, load};
use engine::Config;
use std::hint::black_box;

#[test]
#[cfg(target_arch = "x86_64")]
fn threads_started_after_loading_flush_denormals() {
    let half_of_the_smallest = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
    assert!(half_of_the_smallest() > 0.0, "before: gradual underflow");
    let _model = load(&Config::default(), &asset("yolov8.onnx"));
    // As `Lanes::start` starts its threads.
    let in_a_lane = std::thread::spawn(half_of_the_smallest).join().unwrap();
    assert_eq!(in_a_lane, 0.0);
}
