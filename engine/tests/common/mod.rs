//! What the engine's tests share: the runtime, the models of `tests/assets`, an arena with both its sides.
#![allow(dead_code, reason = "each test uses its part")]

use engine::lanes::{Lanes, Service};
use engine::ort_run::Width;
use engine::{Config, Model, ModelConfig, Runtime};
use shm_proto::arena::{
    self, AnsweredSeat, Bells, ClaimedSeat, EngineArena, FrontendArena, Geometry, Job, SubmittedSeat,
};
use shm_proto::board::Board;
use shm_proto::{Owner, clock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The runtime; a machine without it is told how to fetch it.
pub fn runtime() -> Runtime {
    Runtime::load(engine::Device::Cpu, Path::new("")).unwrap_or_else(|error| panic!("{error}"))
}

/// A model of `tests/assets`.
pub fn asset(name: &str) -> ModelConfig {
    ModelConfig::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/assets").join(name))
}

/// A public model, when the folder of test data is there.
pub fn shared(name: &str) -> Option<ModelConfig> {
    let folder = std::env::var_os("DETECTD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = folder.join("models").join(name);
    if !path.is_file() {
        eprintln!("SKIPPED: {} is not there (DETECTD_DATA names the folder of test data)", path.display());
        return None;
    }
    Some(ModelConfig::new(path))
}

pub fn load(config: &Config, model: &ModelConfig) -> Model {
    Model::load(&runtime(), config, model).unwrap_or_else(|error| panic!("{error}"))
}

/// A model being served in this process, with one frontend.
pub struct Served {
    pub model: Arc<Model>,
    pub arena: Arc<EngineArena>,
    pub frontend: Arc<FrontendArena>,
    pub board: Arc<Board>,
    lanes: Option<Lanes>,
}

static SERVED: AtomicU32 = AtomicU32::new(0);

impl Served {
    /// As [`Served::new`], with seats that hold what the model reads, as on an accelerator.
    pub fn in_place(mut model: Model, seats: u32) -> Self {
        model.pixels = None;
        model.facts.seat = model.facts.spec.input.clone();
        Self::new(model, seats)
    }

    /// An arena of `seats`; lanes run once [`Served::start`] was called.
    pub fn new(model: Model, seats: u32) -> Self {
        let plan = model.runner.plan();
        let geometry = Geometry {
            seats,
            frontends: 1,
            input_bytes: model.facts.seat.bytes() as u64,
            output_bytes: plan.outputs.iter().map(|port| port.bytes() as u64).collect(),
        };
        let fd = arena::create(&geometry, 1).unwrap();
        let bells = Bells::create(1).unwrap();
        let owner = Owner { slot: 0, generation: 1 };
        let frontend = FrontendArena::attach(&fd, owner, bells.clone()).unwrap();
        let arena = EngineArena::attach(&fd, bells).unwrap();
        let name = format!("engine-test-{}-{}", std::process::id(), SERVED.fetch_add(1, Ordering::Relaxed));
        let board = Arc::new(Board::create(&name, 1).unwrap().board);
        Self { model: Arc::new(model), arena, frontend, board, lanes: None }
    }

    /// Starts the lanes, and waits until they are warm.
    pub fn start(&mut self) {
        let service = Service {
            model: self.model.clone(),
            arena: self.arena.clone(),
            board: self.board.clone(),
            slot: 0,
            max_delay: Duration::ZERO,
        };
        let (mut lanes, warmed) = Lanes::start(service).unwrap();
        assert_eq!(warmed.iter().filter(Result::is_ok).count(), self.model.facts.lanes as usize);
        lanes.go();
        self.lanes = Some(lanes);
    }

    pub fn claim(&self) -> ClaimedSeat {
        self.frontend.claim().expect("a free seat")
    }

    /// Submits an input.
    pub fn submit(&self, input: &[u8]) -> SubmittedSeat {
        let mut seat = self.claim();
        seat.input_mut().copy_from_slice(input);
        seat.submit(Job { deadline: u64::MAX, digest: 0 })
    }

    /// Waits for an answer.
    pub fn answer(&self, mut seat: SubmittedSeat) -> AnsweredSeat {
        let until = clock::now() + 60_000_000_000;
        loop {
            match seat.poll() {
                Ok(answered) => return answered,
                Err(same) => seat = same,
            }
            assert!(clock::now() < until, "no answer within a minute");
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(lanes) = self.lanes.take() {
            lanes.stop();
        }
    }
}

/// The input of a picture of one colour for a model with float input in 0–1, RGB, planes.
pub fn colour(model: &Model, rgb: [f32; 3]) -> Vec<u8> {
    let pixels = model.runner.plan().input.bytes() / 12;
    rgb.iter().flat_map(|value| std::iter::repeat_n(value.to_ne_bytes(), pixels)).flatten().collect()
}

pub const RED: [f32; 3] = [1.0, 0.0, 0.0];
pub const GREEN: [f32; 3] = [0.0, 1.0, 0.0];
pub const BLUE: [f32; 3] = [0.0, 0.0, 1.0];

/// What a plain run of the session on private memory gives: the bytes of every output.
pub fn reference(model: &Model, images: usize, input: &[u8]) -> Vec<Vec<u8>> {
    let ports = &model.runner.plan().outputs;
    let mut outputs: Vec<Vec<u8>> = ports.iter().map(|port| vec![0; images * port.bytes()]).collect();
    let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(|output| &mut output[..]).collect();
    model.runner.run_once(Width::Narrow, images, input, &mut slices).unwrap();
    outputs
}
