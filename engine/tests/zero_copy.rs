//! Proof that no tensor is copied where the seats hold what the model reads: what ONNX Runtime reads and writes lies in the arena, at
//! the seat's own place.

mod common;

use common::{BLUE, GREEN, RED, Served, asset, colour, load, reference};
use engine::Config;
use shm_proto::arena::Outcome;
use shm_proto::board::Counter;
use std::collections::BTreeSet;

#[test]
fn the_runtime_reads_and_writes_the_seats_themselves() {
    for (name, max_batch) in [("yolov8.onnx", 1), ("yolov8.onnx", 4), ("batch4.onnx", 4), ("ssd.onnx", 2)] {
        let config = Config { lanes: 1, max_batch, ..Config::default() };
        let mut served = Served::in_place(load(&config, &asset(name)), 8);
        assert_eq!(served.model.facts.max_batch, max_batch, "{name}");

        // All submitted before the lane starts, so that they make up whole batches.
        let colours = [RED, GREEN, BLUE, RED];
        let inputs = colours.map(|rgb| colour(&served.model, rgb));
        let mut places = BTreeSet::new();
        let submitted: Vec<_> = inputs
            .iter()
            .map(|input| {
                let mut seat = served.claim();
                seat.input_mut().copy_from_slice(input);
                places.insert(seat.index());
                seat.submit(shm_proto::arena::Job { deadline: u64::MAX, digest: 0 })
            })
            .collect();
        assert_eq!(places, BTreeSet::from([0, 1, 2, 3]), "a fresh ring gives its seats in order");
        served.start();
        let answers: Vec<_> = submitted.into_iter().map(|seat| served.answer(seat)).collect();

        // The right numbers are in the right seats …
        let size = max_batch as usize;
        let plain: Vec<_> =
            inputs.chunks(size).map(|batch| reference(&served.model, size, &batch.concat())).collect();
        for (k, answer) in answers.iter().enumerate() {
            assert_eq!((answer.outcome(), answer.run().batch), (Outcome::Done, max_batch), "{name}");
            for (j, whole) in plain[k / size].iter().enumerate() {
                let each = whole.len() / size;
                let own = &whole[k % size * each..(k % size + 1) * each];
                assert!(answer.output(j) == own, "{name}: output {j} of image {k}");
            }
        }
        assert!(answers[0].output(0) != answers[1].output(0), "{name}: red is not green");

        // … and the runtime itself put them there: every tensor it was given lies in the arena, at these places.
        let runner = &served.model.runner;
        let bound = runner.bound().unwrap();
        let arena = served.arena.addresses();
        for tensor in &bound {
            assert!(arena.contains(&tensor.address), "{name}: {tensor:?} lies outside {arena:?}");
            assert!(tensor.address + tensor.bytes <= arena.end, "{name}: {tensor:?} ends outside {arena:?}");
        }
        let ports = 1 + runner.plan().outputs.len();
        assert_eq!(bound.len(), ports * 4 / max_batch as usize, "{name}: each batch's tensors, made once");
        let starts: BTreeSet<usize> = bound.iter().map(|tensor| tensor.address).collect();
        assert_eq!(starts.len(), bound.len(), "{name}: no two tensors share memory");
        // The frontend's mapping and the engine's are two; the distance of the seats is what they share.
        let output = &runner.plan().outputs[0];
        let mut engine: Vec<usize> =
            bound.iter().filter(|tensor| tensor.name == output.name).map(|tensor| tensor.address).collect();
        engine.sort_unstable();
        let mine =
            answers.iter().step_by(max_batch as usize).map(|answer| answer.output(0).as_ptr() as usize);
        let distances = |all: &[usize]| all.iter().map(|address| address - all[0]).collect::<Vec<_>>();
        assert_eq!(distances(&engine), distances(&mine.collect::<Vec<_>>()), "{name}: the seats' own places");

        let figures = served.board.engine(0);
        assert_eq!(figures.counter(Counter::CopiedBytes), 0, "{name}");
        assert_eq!(figures.counter(Counter::BatchedImages), 4);
        assert_eq!(figures.counter(Counter::Batches), u64::from(4 / max_batch));
    }
}

#[test]
fn tensors_are_made_once_a_place() {
    let config = Config { lanes: 2, ..Config::default() };
    let mut served = Served::in_place(load(&config, &asset("yolov8.onnx")), 2);
    served.start();
    let input = colour(&served.model, GREEN);
    for _ in 0..20 {
        let answer = served.answer(served.submit(&input));
        assert_eq!(answer.outcome(), Outcome::Done);
    }
    assert!(
        served.model.runner.bound().unwrap().len() <= 2 * 2,
        "an input and an output for each of two seats"
    );
}
