//! Sums and differences of processes' figures. Arithmetic only.

use shm_proto::board::{Counter, Histogram, ProcessFigures, Stage};

/// Figures of several processes together.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals {
    counters: [u64; Counter::COUNT],
    codes: Vec<u64>,
    batch_sizes: Vec<u64>,
    stages: Vec<Histogram>,
}

impl Totals {
    /// The sum over these processes, of which there is at least one.
    ///
    /// # Panics
    /// When there is none: an empty histogram cannot be made from nothing.
    pub fn of(processes: &[ProcessFigures]) -> Self {
        let (first, others) = processes.split_first().expect("a board has an engine and a frontend");
        let mut sum = Self {
            counters: first.counters,
            codes: first.codes.clone(),
            batch_sizes: first.batch_sizes.clone(),
            stages: first.stages.clone(),
        };
        for process in others {
            add(&mut sum.counters, &process.counters);
            add(&mut sum.codes, &process.codes);
            add(&mut sum.batch_sizes, &process.batch_sizes);
            for (mine, theirs) in sum.stages.iter_mut().zip(&process.stages) {
                mine.merge(theirs);
            }
        }
        sum
    }

    /// What was added since earlier totals of the same processes.
    pub fn since(&self, earlier: &Self) -> Self {
        let less =
            |now: &[u64], then: &[u64]| now.iter().zip(then).map(|(a, b)| a.saturating_sub(*b)).collect();
        let mut counters = self.counters;
        for (now, then) in counters.iter_mut().zip(&earlier.counters) {
            *now = now.saturating_sub(*then);
        }
        Self {
            counters,
            codes: less(&self.codes, &earlier.codes),
            batch_sizes: less(&self.batch_sizes, &earlier.batch_sizes),
            stages: self.stages.iter().zip(&earlier.stages).map(|(now, then)| now.since(then)).collect(),
        }
    }

    /// One counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// Answers with the problem code of this number.
    pub fn code(&self, code: usize) -> u64 {
        self.codes.get(code).copied().unwrap_or(0)
    }

    /// Answers with any problem code.
    pub fn problems(&self) -> u64 {
        self.codes.iter().fold(0, |sum, count| count.saturating_add(sum))
    }

    /// Runs by batch size; index 0 is unused, the last is that size and above.
    pub fn batch_sizes(&self) -> &[u64] {
        &self.batch_sizes
    }

    /// The times of one stage.
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }
}

fn add(sum: &mut [u64], values: &[u64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        // They are other processes' words: whatever stands there, adding it up does no harm.
        *sum = sum.saturating_add(*value);
    }
}
