//! The cells of an experiment and the order in which they are measured. Pure.

use crate::load::Input;
use serde::{Deserialize, Serialize};

/// How the service is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setup {
    /// Frontend processes.
    pub procs: u32,
    /// Lanes of the engine; as the service chooses, if not given.
    pub lanes: Option<u32>,
    /// Most images in a run; the same.
    pub max_batch: Option<u32>,
}

/// What one measurement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// The service.
    pub setup: Setup,
    /// How pictures are named to it.
    pub input: Input,
    /// Requests to send; so many as fit into the time, if not given.
    pub requests: Option<u64>,
    /// Connections, each with one request at a time.
    pub concurrency: usize,
}

/// Everything that is varied.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Frontend processes.
    pub procs: Vec<u32>,
    /// Lanes.
    pub lanes: Vec<Option<u32>>,
    /// Most images in a run.
    pub max_batch: Vec<Option<u32>>,
    /// Input types.
    pub inputs: Vec<Input>,
    /// Numbers of requests.
    pub requests: Vec<Option<u64>>,
    /// Concurrencies.
    pub concurrency: Vec<usize>,
}

impl Grid {
    /// The services of a round, each with its cells, in the order of that round.
    pub fn round(&self, round: u32) -> Vec<(Setup, Vec<Cell>)> {
        let mut setups = Vec::new();
        for &procs in &self.procs {
            for &lanes in &self.lanes {
                for &max_batch in &self.max_batch {
                    setups.push(Setup { procs, lanes, max_batch });
                }
            }
        }
        let backwards = round % 2 == 1;
        if backwards {
            setups.reverse();
        }
        let with_cells = |setup| {
            let mut cells = Vec::new();
            for &input in &self.inputs {
                for &requests in &self.requests {
                    for &concurrency in &self.concurrency {
                        cells.push(Cell { setup, input, requests, concurrency });
                    }
                }
            }
            if backwards {
                cells.reverse();
            }
            (setup, cells)
        };
        setups.into_iter().map(with_cells).collect()
    }

    /// How many cells a round has.
    pub fn len(&self) -> usize {
        self.round(0).iter().map(|(_, cells)| cells.len()).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
