//! What the way through the arena costs: the same model by a plain run of the session, by a run in place, and from
//! submit to answer through a lane. `cargo run --release -p engine --example overhead -- MODEL [RUNS]`

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Served, load, runtime};
use engine::ort_run::Buffer;
use engine::{Config, ModelConfig, graph, probe, session};
use ort::value::TensorRef;
use shm_proto::arena::Job;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn main() {
    let mut words = std::env::args().skip(1);
    let file = ModelConfig::new(words.next().expect("the path of a model with float input"));
    let runs: usize = words.next().map_or(200, |text| text.parse().expect("a number of runs"));
    let config = Config { lanes: 1, ..Config::default() };
    let mut served = Served::new(load(&config, &file), 4);
    let plan = served.model.runner.plan().clone();
    let mut input = Buffer::new(plan.input.bytes());
    probe::noise(&served.model.facts.spec.input, input.bytes_mut());

    let bytes = std::fs::read(&file.path).expect("the model was read before");
    let bytes = graph::rewritten(&bytes, config.optimization);
    let mut plain =
        session::open(&runtime(), &config, &file.path, &bytes, &[]).expect("it was loaded before");
    let values: Vec<f32> = input
        .bytes()
        .chunks_exact(4)
        .map(|four| f32::from_ne_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    let dims: Vec<i64> = std::iter::once(1).chain(plan.input.shape.iter().map(|dim| *dim as i64)).collect();
    let mut outputs: Vec<Buffer> = plan.outputs.iter().map(|port| Buffer::new(port.bytes())).collect();
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Buffer::bytes_mut).collect();
    served.start();

    let mut times: [Vec<Duration>; 3] = Default::default();
    // Taken in turns, so that whatever else the machine does falls on all three.
    for _ in 0..runs {
        let begun = Instant::now();
        let tensor = TensorRef::from_array_view((dims.clone(), &values[..])).expect("the shape of the input");
        let result = plain.run(ort::inputs![tensor]).expect("a run");
        let (_, data) = result[0].try_extract_tensor::<f32>().expect("a float output");
        black_box(data.first());
        drop(result);
        times[0].push(begun.elapsed());

        let begun = Instant::now();
        served.model.runner.run(1, input.bytes(), &mut outputs).expect("a run");
        times[1].push(begun.elapsed());

        let mut seat = served.claim();
        probe::noise(&served.model.facts.seat, seat.input_mut());
        let begun = Instant::now();
        let mut seat = seat.submit(Job { deadline: u64::MAX, digest: 0 });
        let answered = loop {
            match seat.poll() {
                Ok(answered) => break answered,
                Err(same) => seat = same,
            }
            std::thread::yield_now();
        };
        times[2].push(begun.elapsed());
        answered.release();
    }
    for (what, mut times) in ["plain run", "run in place", "submit to answer"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        println!("{what:>18}: min {:.4} ms, p50 {:.4} ms, p90 {:.4} ms", at(0), at(50), at(90));
    }
}
