//! The lanes: threads that each take a batch from the arena, run it and answer it, one after the other.
//!
//! Owns the threads, what is counted of a run, and what becomes of a batch whose run fails or panics. Nothing here
//! looks into a tensor; what the numbers in it mean is judged by those who read them.

use crate::model::{Model, Turn};
use crate::ort_run::{RunError, Width};
use crate::width::Widths;
use shm_proto::arena::{Batch, BatchLimits, Closed, EngineArena, Outcome};
use shm_proto::board::{Board, Counter};
use shm_proto::clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a lane sleeps at most before it looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the lanes serve, and where they count it.
pub struct Service {
    /// The model.
    pub model: Arc<Model>,
    /// The seats.
    pub arena: Arc<EngineArena>,
    /// The figures.
    pub board: Arc<Board>,
    /// The engine's slot in them.
    pub slot: u8,
    /// How long a batch that is not full waits for more.
    pub max_delay: Duration,
}

/// Running lanes. They end with [`Lanes::stop`], or with the process.
pub struct Lanes {
    service: Arc<Service>,
    stop: Arc<AtomicBool>,
    /// One for each lane: it serves when it has heard, and ends when it cannot hear any more.
    go: Vec<mpsc::Sender<()>>,
    /// Since when each lane runs its batch.
    busy: Arc<Vec<Mutex<Option<Instant>>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Starts the lanes that the model's facts name. Each runs one image in private memory and then says so through
    /// the receiver, all at the same time, so that what the runtime allocates for concurrent runs is there. They take
    /// no batch before [`Lanes::go`].
    ///
    /// Call it from the thread that loaded the model: threads inherit how it treats numbers next to zero.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(service: Service) -> std::io::Result<(Self, Receiver<Result<Duration, RunError>>)> {
        let service = Arc::new(service);
        let count = service.model.facts.lanes.max(1);
        let stop = Arc::new(AtomicBool::new(false));
        let busy: Arc<Vec<Mutex<Option<Instant>>>> = Arc::new((0..count).map(|_| Mutex::new(None)).collect());
        let (warm, warmed) = mpsc::channel();
        let mut lanes = Self { service, stop, go: Vec::new(), busy, threads: Vec::new() };
        for lane in 0..count {
            let (service, stop, busy) = (lanes.service.clone(), lanes.stop.clone(), lanes.busy.clone());
            let warm = warm.clone();
            let (go, heard) = mpsc::channel();
            lanes.go.push(go);
            let thread = std::thread::Builder::new().name(format!("lane-{lane}")).spawn(move || {
                // Nobody listens any more when another lane failed before; then nobody says go, either.
                let _ = warm.send(service.model.warm(1));
                drop(warm);
                if heard.recv().is_ok() {
                    service.serve(lane, &stop, &busy[lane as usize]);
                }
            })?;
            lanes.threads.push(thread);
        }
        Ok((lanes, warmed))
    }

    /// All lanes are warm: they begin to serve.
    pub fn go(&mut self) {
        for go in self.go.drain(..) {
            // One that has died is found by `has_lost_one`.
            let _ = go.send(());
        }
    }

    /// Whether a lane has ended though nobody told it to: a panic of ours outside a run.
    pub fn has_lost_one(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Whether no lane runs and nothing is submitted.
    pub fn is_idle(&self) -> bool {
        self.service.arena.queued() == 0 && self.busy.iter().all(|busy| lock(busy).is_none())
    }

    /// The lane that runs its batch for longer than `limit`, and for how long.
    pub fn stuck(&self, limit: Duration) -> Option<(usize, Duration)> {
        let runs =
            self.busy.iter().enumerate().filter_map(|(lane, busy)| Some((lane, lock(busy)?.elapsed())));
        runs.max_by_key(|(_, lasts)| *lasts).filter(|(_, lasts)| *lasts > limit)
    }

    /// Ends the lanes after the batch they run now.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.service.arena.wake_all();
        for thread in self.threads {
            // A lane catches its panics; one that died all the same has been told on standard error.
            let _ = thread.join();
        }
    }
}

impl Service {
    fn serve(self: &Arc<Self>, lane: u32, stop: &AtomicBool, busy: &Mutex<Option<Instant>>) {
        let limits = BatchLimits { max_batch: self.model.facts.max_batch, max_delay: self.max_delay, lane };
        while !stop.load(Ordering::Relaxed) {
            if let Some(batch) = self.arena.next(limits, PATIENCE) {
                self.run(batch, busy);
                *busy.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }

    /// Runs a batch and answers it.
    fn run(&self, mut batch: Batch, busy: &Mutex<Option<Instant>>) {
        let images = batch.len();
        // With the machine to itself: the other cores have nothing to do. Beside another run, or beside pictures
        // that are being decoded, a wide run would only take their cores and lose by it.
        let widths = self.model.widths.as_ref().filter(|_| self.board.in_service() <= images);
        let width = widths.map_or(Width::Narrow, Widths::next);
        let turn = Turn { lane: batch.lane(), submitted: batch.submitted(), width };
        let started = batch.start();
        let outcomes = match self.run_images(&mut batch, turn, busy) {
            Ok(()) => vec![Outcome::Done; images as usize],
            Err(reason) if images == 1 => {
                tracing::warn!(seat = batch.first(), reason, "a run failed");
                vec![Outcome::Failed]
            }
            Err(reason) => {
                tracing::warn!(images, reason, "a batch failed: each image runs alone");
                self.run_alone(&mut batch, turn, busy)
            }
        };
        let took = clock::now().saturating_sub(started);
        if let Some(widths) = widths {
            widths.saw(width, took);
        }
        let failed = outcomes.iter().filter(|outcome| **outcome != Outcome::Done).count();

        // Counted before it is answered: whoever has an answer finds it in the figures.
        let figures = self.board.engine(self.slot);
        figures.add(Counter::Batches, 1);
        figures.add(Counter::BatchedImages, u64::from(images));
        figures.add(Counter::RunNanos, took);
        figures.add(
            match batch.closed() {
                Closed::Full => Counter::ClosedFull,
                Closed::Waited => Counter::ClosedWaited,
                Closed::All => Counter::ClosedAll,
                Closed::Split => Counter::ClosedSplit,
            },
            1,
        );
        if width == Width::Wide {
            figures.add(Counter::WideBatches, 1);
        }
        figures.count_batch(images);
        if failed > 0 {
            figures.add(Counter::FailedImages, failed as u64);
        }
        batch.answer_each(|k| outcomes[k as usize]);
    }

    fn run_images(&self, batch: &mut Batch, turn: Turn, busy: &Mutex<Option<Instant>>) -> Result<(), String> {
        let images = batch.len() as usize;
        let (input, mut outputs) = batch.tensors();
        self.guarded(turn, images, input, &mut outputs, busy)
    }

    /// Runs the images of a batch that failed one by one, so that only the guilty ones fail.
    fn run_alone(&self, batch: &mut Batch, turn: Turn, busy: &Mutex<Option<Instant>>) -> Vec<Outcome> {
        let images = batch.len() as usize;
        let (input, mut outputs) = batch.tensors();
        let part = |bytes: usize, k: usize| k * (bytes / images)..(k + 1) * (bytes / images);
        let one = |k: usize| {
            let mut own: Vec<&mut [u8]> = outputs
                .iter_mut()
                .map(|output| {
                    let range = part(output.len(), k);
                    &mut output[range]
                })
                .collect();
            match self.guarded(turn, 1, &input[part(input.len(), k)], &mut own, busy) {
                Ok(()) => Outcome::Done,
                Err(reason) => {
                    tracing::warn!(image = k, reason, "the run of one image failed");
                    Outcome::Failed
                }
            }
        };
        (0..images).map(one).collect()
    }

    /// Runs, with a panic turned into a reason. The time that `busy` says is that of this one run.
    fn guarded(
        &self,
        turn: Turn,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
        busy: &Mutex<Option<Instant>>,
    ) -> Result<(), String> {
        *busy.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // What a panic may leave behind are a kept tensor the fewer and outputs that nobody is told to read.
        let run = catch_unwind(AssertUnwindSafe(|| self.model.run(turn, images, input, outputs)));
        match run {
            Ok(Ok(copied)) => {
                if copied > 0 {
                    self.board.engine(self.slot).add(Counter::CopiedBytes, copied);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the lane panicked".to_owned()),
        }
    }
}

fn lock(busy: &Mutex<Option<Instant>>) -> Option<Instant> {
    *busy.lock().unwrap_or_else(PoisonError::into_inner)
}
