//! One process's block: a handle to write it with and a copy to read.

use super::guards::Guards;
use super::histogram::{self, Histogram};
use super::layout::{Block, STAGE_BITS, TOTAL_BITS};
use super::{Counter, MAX_BATCH_SIZE, ProcessState, Stage};
use crate::clock::{self, Nanos};
use crate::sync::Ordering::Relaxed;

/// A process's block on the board.
#[derive(Clone, Copy)]
pub struct Process<'a> {
    pub(super) block: &'a Block,
}

/// A copy of a process's block.
#[derive(Clone, Debug)]
pub struct ProcessFigures {
    /// Process id; 0 when there is none.
    pub pid: u32,
    /// Counts the processes that had this slot.
    pub generation: u32,
    /// What it does.
    pub state: ProcessState,
    /// How often it was replaced after a death.
    pub restarts: u32,
    /// When it started.
    pub started: Nanos,
    /// Its last sign of life.
    pub heartbeat: Nanos,
    /// Open connections.
    pub connections: u32,
    /// Detect requests in flight.
    pub in_flight: u32,
    /// Those of them whose picture has not arrived yet.
    pub reading: u32,
    /// What it has given up.
    pub guards: Guards,
    /// Counters, by [`Counter`].
    pub counters: [u64; Counter::COUNT],
    /// Answers by problem code.
    pub codes: Vec<u64>,
    /// Runs by batch size (index 0 is unused).
    pub batch_sizes: Vec<u64>,
    /// Times by stage, in the order of [`Stage::ALL`].
    pub stages: Vec<Histogram>,
}

impl ProcessFigures {
    /// One counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// The times of one stage.
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }
}

impl Process<'_> {
    // ---- the process itself ----

    /// Adds to a counter.
    pub fn add(&self, counter: Counter, n: u64) {
        self.block.counters[counter as usize].fetch_add(n, Relaxed);
    }

    /// Records a stage's time.
    pub fn record(&self, stage: Stage, nanos: u64) {
        match stage {
            Stage::Total => histogram::record(&self.block.total, TOTAL_BITS, nanos),
            _ => histogram::record(&self.block.stages[stage as usize], STAGE_BITS, nanos),
        }
    }

    /// Counts an answer with a problem code.
    pub fn count_code(&self, code: usize) {
        if let Some(count) = self.block.codes.get(code) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts a run.
    pub fn count_batch(&self, size: u32) {
        self.block.batch_sizes[(size as usize).min(MAX_BATCH_SIZE)].fetch_add(1, Relaxed);
    }

    /// Gives a sign of life.
    pub fn beat(&self) {
        self.block.heartbeat.store(clock::now(), Relaxed);
    }

    /// Sets the state.
    pub fn set_state(&self, state: ProcessState) {
        self.block.state.store(state as u32, Relaxed);
    }

    /// One connection more.
    pub fn connection_opened(&self) {
        self.block.connections.fetch_add(1, Relaxed);
        self.add(Counter::Connections, 1);
    }

    /// One connection less.
    pub fn connection_closed(&self) {
        self.block.connections.fetch_sub(1, Relaxed);
    }

    /// One detect request more in flight.
    pub fn request_entered(&self) {
        self.block.in_flight.fetch_add(1, Relaxed);
    }

    /// One detect request less in flight.
    pub fn request_left(&self) {
        self.block.in_flight.fetch_sub(1, Relaxed);
    }

    /// The picture of one more is on its way.
    pub fn reading_began(&self) {
        self.block.reading.fetch_add(1, Relaxed);
    }

    /// It is there, or will not come.
    pub fn reading_ended(&self) {
        self.block.reading.fetch_sub(1, Relaxed);
    }

    /// Sets what an image takes a lane, in nanoseconds, as the engine found while warming up.
    pub fn set_image_nanos(&self, nanos: u64) {
        self.block.image_nanos.store(nanos, Relaxed);
    }

    /// Says what the process has given up.
    pub fn set_guards(&self, guards: Guards) {
        self.block.guards.store(guards.encode(), Relaxed);
    }

    // ---- the supervisor ----

    /// A new process has this slot.
    pub fn occupy(&self, pid: u32, generation: u32, restarts: u32) {
        let now = clock::now();
        self.block.pid.store(pid, Relaxed);
        self.block.generation.store(generation, Relaxed);
        self.block.restarts.store(restarts, Relaxed);
        self.block.started.store(now, Relaxed);
        self.block.heartbeat.store(now, Relaxed);
        self.block.guards.store(0, Relaxed);
        self.block.state.store(ProcessState::Starting as u32, Relaxed);
    }

    /// The process of this slot was reaped: what it had open is gone with it.
    pub fn vacate(&self) {
        self.block.state.store(ProcessState::Dead as u32, Relaxed);
        self.block.connections.store(0, Relaxed);
        self.block.in_flight.store(0, Relaxed);
        self.block.reading.store(0, Relaxed);
    }

    // ---- anybody ----

    /// What the process does.
    pub fn state(&self) -> ProcessState {
        ProcessState::decode(self.block.state.load(Relaxed))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.block.pid.load(Relaxed)
    }

    /// When it started.
    pub fn started(&self) -> Nanos {
        self.block.started.load(Relaxed)
    }

    /// Its last sign of life.
    pub fn heartbeat(&self) -> Nanos {
        self.block.heartbeat.load(Relaxed)
    }

    /// Its open connections.
    pub fn connections(&self) -> u32 {
        self.block.connections.load(Relaxed)
    }

    /// Its detect requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.block.in_flight.load(Relaxed)
    }

    /// Those of them whose picture has not arrived yet.
    pub fn reading(&self) -> u32 {
        self.block.reading.load(Relaxed)
    }

    /// What an image takes a lane, in nanoseconds; 0 when the engine is not warm yet.
    pub fn image_nanos(&self) -> u64 {
        self.block.image_nanos.load(Relaxed)
    }

    /// One counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.block.counters[counter as usize].load(Relaxed)
    }

    /// A copy of everything. Fields of a process at work may be a request apart.
    pub fn figures(&self) -> ProcessFigures {
        let block = self.block;
        ProcessFigures {
            pid: block.pid.load(Relaxed),
            generation: block.generation.load(Relaxed),
            state: self.state(),
            restarts: block.restarts.load(Relaxed),
            started: block.started.load(Relaxed),
            heartbeat: block.heartbeat.load(Relaxed),
            connections: block.connections.load(Relaxed),
            in_flight: block.in_flight.load(Relaxed),
            reading: block.reading.load(Relaxed),
            guards: Guards::decode(block.guards.load(Relaxed)),
            counters: std::array::from_fn(|k| block.counters[k].load(Relaxed)),
            codes: block.codes.iter().map(|count| count.load(Relaxed)).collect(),
            batch_sizes: block.batch_sizes.iter().map(|count| count.load(Relaxed)).collect(),
            stages: Stage::ALL
                .iter()
                .map(|&stage| match stage {
                    Stage::Total => Histogram::copy(&block.total, TOTAL_BITS),
                    _ => Histogram::copy(&block.stages[stage as usize], STAGE_BITS),
                })
                .collect(),
        }
    }
}
