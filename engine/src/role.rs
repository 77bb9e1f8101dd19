//! The engine's life under a supervisor: load, report, attach, warm, serve, drain.
//!
//! Owns the order of these and the engine's signs of life. The thread that hears the supervisor only passes on what
//! it heard; everything is decided on the main thread, which never waits for longer than a beat once it serves.

use crate::config::{Config, EngineBoot};
use crate::error::EngineError;
use crate::lanes::{Lanes, Service};
use crate::model::Model;
use crate::runtime::Runtime;
use shm_proto::arena::{Bells, EngineArena, Geometry};
use shm_proto::board::{Board, ProcessState};
use shm_proto::control::{Boot, ControlError, ControlReceiver, ControlSender, FromChild, Received, ToChild};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(250);

/// Serves until the supervisor drains the engine or goes away. `fds` are the frontends' bells by slot;
/// `boot.config` is an [`EngineBoot`] as JSON.
///
/// # Errors
/// Whatever keeps it from serving; [`EngineError::exit`] is the status to leave with.
pub fn run(
    boot: Boot,
    fds: Vec<OwnedFd>,
    sender: ControlSender,
    receiver: ControlReceiver,
) -> Result<(), EngineError> {
    serve(&boot, fds, &sender, receiver)
}

fn serve(
    boot: &Boot,
    bells: Vec<OwnedFd>,
    sender: &ControlSender,
    receiver: ControlReceiver,
) -> Result<(), EngineError> {
    let settings: EngineBoot = serde_json::from_str(&boot.config)
        .map_err(|error| EngineError::Control(format!("the configuration of the engine: {error}")))?;
    let EngineBoot { config, model: file } = settings;
    let board = Arc::new(Board::open(&boot.board).map_err(|error| EngineError::System(error.to_string()))?);
    board.engine(boot.slot).beat();

    let say = |text: &str| sender.send(FromChild::Status(text.to_owned()));
    let _ = say(&format!("loading {}", file.path.display()));
    let runtime = Runtime::load(config.device, &config.runtime)?;
    let model = Arc::new(Model::load(&runtime, &config, &file)?);
    report(&model);
    board.engine(boot.slot).beat();
    if sender.send(announce(&model)?).is_err() {
        return Ok(());
    }
    let Warmed { longest, per_image } = warm(&model, &file.path, &board, boot.slot)?;
    board.engine(boot.slot).set_image_nanos(per_image.as_nanos() as u64);

    // What it is until it is given an arena, which the first engine is at once.
    board.engine(boot.slot).set_state(ProcessState::Standby);
    let events = listen(receiver)?;
    let mut engine = Engine {
        boot,
        config: &config,
        board,
        model,
        path: &file.path,
        bells: Some(bells),
        longest,
        lanes: None,
    };
    let mut draining: Option<Instant> = None;
    loop {
        match events.recv_timeout(BEAT) {
            Ok(Received { message: ToChild::Attach { generation, geometry, .. }, fds }) => {
                engine.attach(generation, &geometry, fds)?;
                if sender.send(FromChild::Ready { generation }).is_err() {
                    break;
                }
            }
            Ok(Received { message: ToChild::Drain { timeout }, .. }) => {
                tracing::info!(?timeout, "draining");
                engine.board.engine(boot.slot).set_state(ProcessState::Draining);
                draining = Some(Instant::now() + timeout);
            }
            Ok(Received { message: ToChild::Boot(_) | ToChild::HandOver { .. }, .. }) => {
                return Err(EngineError::Control("a message out of place".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The supervisor has gone, and with it everybody who could submit or read.
            Err(RecvTimeoutError::Disconnected) => break,
        }
        engine.watch();
        if draining.is_some_and(|until| engine.is_idle() || Instant::now() >= until) {
            break;
        }
    }
    engine.stop();
    if draining.is_some() {
        // When the supervisor has gone meanwhile there is nobody to tell.
        let _ = sender.send(FromChild::Drained);
    }
    Ok(())
}

/// A loaded model and, once there is an arena, its lanes.
struct Engine<'a> {
    boot: &'a Boot,
    config: &'a Config,
    board: Arc<Board>,
    model: Arc<Model>,
    path: &'a Path,
    /// Until the arena takes them.
    bells: Option<Vec<OwnedFd>>,
    /// The longest run while warming up.
    longest: Duration,
    lanes: Option<Lanes>,
}

impl Engine<'_> {
    fn attach(&mut self, generation: u32, geometry: &Geometry, fds: Vec<OwnedFd>) -> Result<(), EngineError> {
        let wrong = |text: String| EngineError::Arena(text);
        let (Some(bells), [fd]) = (self.bells.take(), &fds[..]) else {
            return Err(wrong(format!("attached twice, or with {} descriptors", fds.len())));
        };
        let arena =
            EngineArena::attach(fd, Bells::from_fds(bells)).map_err(|error| wrong(error.to_string()))?;
        let own = sizes(&self.model);
        let theirs = (arena.geometry().input_bytes, arena.geometry().output_bytes.clone());
        if own != theirs || arena.generation() != generation || arena.geometry() != geometry {
            return Err(wrong(format!("made for tensors of {theirs:?} bytes, the model has {own:?}")));
        }
        let service = Service {
            model: self.model.clone(),
            arena,
            board: self.board.clone(),
            slot: self.boot.slot,
            max_delay: self.config.max_delay,
        };
        let (mut lanes, warmed) = Lanes::start(service).map_err(|error| {
            EngineError::System(format!("cannot start a lane: {error}; raise the limit of tasks"))
        })?;
        for result in warmed {
            let took =
                result.map_err(|error| self.model.run_error(self.path, "a lane cannot run it", &error))?;
            self.longest = self.longest.max(took);
            self.board.engine(self.boot.slot).beat();
        }
        self.model.shed();
        crate::trim::give_back();
        lanes.go();
        self.lanes = Some(lanes);
        self.board.engine(self.boot.slot).set_state(ProcessState::Ready);
        tracing::info!(generation, lanes = self.model.facts.lanes, seats = geometry.seats, "serving");
        Ok(())
    }

    /// Gives the sign of life, unless a run is stuck: then there is no way to end it but with the process, whose
    /// successor finds the batch in the arena.
    fn watch(&self) {
        let limit = self.config.run_timeout.max(self.longest * 20);
        if !self.config.run_timeout.is_zero()
            && let Some((lane, lasts)) = self.lanes.as_ref().and_then(|lanes| lanes.stuck(limit))
        {
            tracing::error!(
                lane,
                ?lasts,
                ?limit,
                "a run is stuck: the engine ends itself, to be started again"
            );
            std::process::abort();
        }
        if self.lanes.as_ref().is_some_and(Lanes::has_lost_one) {
            tracing::error!("a lane has ended by itself: the engine ends itself, to be started again");
            std::process::abort();
        }
        self.board.engine(self.boot.slot).beat();
    }

    fn is_idle(&self) -> bool {
        self.lanes.as_ref().is_none_or(Lanes::is_idle)
    }

    fn stop(mut self) {
        // A lane that is stuck would be waited for without end.
        if let Some(lanes) = self.lanes.take()
            && lanes.stuck(BEAT).is_none()
        {
            lanes.stop();
        }
    }
}

/// What warming up has shown.
struct Warmed {
    /// The longest run.
    longest: Duration,
    /// The least time an image takes, at the batch size that is best for it.
    per_image: Duration,
}

/// Runs every batch size that may be formed. Each runs twice: the first run of a size may search for algorithms and allocate, the
/// second is what the size costs.
fn warm(model: &Model, path: &Path, board: &Board, slot: u8) -> Result<Warmed, EngineError> {
    if let Some(simulation) = &model.simulation {
        let (curve, most) = (simulation.curve(), model.facts.max_batch);
        return Ok(Warmed { longest: curve.time(most), per_image: curve.per_image(most) });
    }
    let mut warmed = Warmed { longest: Duration::ZERO, per_image: Duration::MAX };
    let sizes = match model.runner.plan().fixed_batch {
        Some(_) => 1..=1,
        None => 1..=model.facts.max_batch,
    };
    for images in sizes {
        let run = || {
            let what = format!("a batch of {images} does not run");
            let took = model.warm(images).map_err(|error| model.run_error(path, &what, &error));
            board.engine(slot).beat();
            took
        };
        run()?;
        let took = run()?;
        warmed.longest = warmed.longest.max(took);
        warmed.per_image = warmed.per_image.min(took / images);
    }
    Ok(warmed)
}

fn announce(model: &Model) -> Result<FromChild, EngineError> {
    let facts = &model.facts;
    let (input_bytes, output_bytes) = sizes(model);
    let failed = |error| EngineError::Control(format!("the model's facts cannot be written: {error}"));
    // What a request in the arena relies on. Not where and with what the model runs: an engine that comes back with
    // more lanes or a newer runtime goes on with the requests that wait.
    let identity = serde_json::to_string(&(&facts.spec, &facts.outputs, &facts.version)).map_err(failed)?;
    let description = serde_json::to_string(facts).map_err(failed)?;
    let version = facts.version.get(..12).unwrap_or(&facts.version);
    Ok(FromChild::Model {
        input_bytes,
        output_bytes,
        max_batch: facts.max_batch,
        lanes: facts.lanes,
        description,
        identity,
        title: format!(
            "{} {version}{}",
            facts.spec.name,
            if facts.is_simulated() { ", SIMULATED accelerator" } else { "" }
        ),
    })
}

/// Bytes of one image's input and outputs in a seat.
fn sizes(model: &Model) -> (u64, Vec<u64>) {
    let plan = model.runner.plan();
    (model.facts.seat.bytes() as u64, plan.outputs.iter().map(|port| port.bytes() as u64).collect())
}

fn report(model: &Model) {
    let facts = &model.facts;
    tracing::info!(
        model = facts.spec.name,
        version = facts.version,
        device = facts.device,
        lanes = facts.lanes,
        max_batch = facts.max_batch,
        load_ms = model.load_time.as_millis() as u64,
        "loaded the model"
    );
    for guess in &facts.spec.guessed {
        tracing::info!("guessed: {guess}");
    }
}

/// Passes on what the supervisor says; the channel closes when it has gone.
fn listen(mut receiver: ControlReceiver) -> Result<Receiver<Received>, EngineError> {
    let (events, heard) = mpsc::channel();
    let listener = move || {
        loop {
            match receiver.recv() {
                Ok(received) => {
                    if events.send(received).is_err() {
                        return;
                    }
                }
                Err(ControlError::Closed) => return,
                Err(error) => return tracing::error!(%error, "the supervisor cannot be heard"),
            }
        }
    };
    let thread = std::thread::Builder::new().name("control".to_owned()).spawn(listener);
    thread.map_err(|error| {
        EngineError::System(format!("cannot start a thread: {error}; raise the limit of tasks"))
    })?;
    Ok(heard)
}
