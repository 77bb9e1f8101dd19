//! What a board takes over from the one before it when the service goes on as another program: its age, what it counted,
//! whom it refuses. The processes of the old board go on counting there until they have drained, so it is looked at again
//! and again: each look adds what has come since.

use super::layout::{Block, ENGINES, Header};
use super::segment::Board;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Relaxed, Release};

/// The board of the processes that are leaving.
pub struct Heritage {
    old: Board,
    /// What has been taken over of each counter.
    taken: Vec<u64>,
}

impl Heritage {
    /// Takes over from `old` what stands still: since when the service runs, the closed days, the refused inputs.
    /// `new` has just been made, and nobody else knows of it.
    pub fn new(old: Board, new: &Board) -> Self {
        let (from, to) = (old.header(), new.header());
        to.started.store(from.started.load(Relaxed), Relaxed);
        to.started_unix.store(from.started_unix.load(Relaxed), Relaxed);
        to.today.store(from.today.load(Relaxed), Relaxed);
        for (to, from) in to.history.iter().zip(&from.history) {
            to.pv.store(from.pv.load(Relaxed), Relaxed);
            to.uv.store(from.uv.load(Relaxed), Relaxed);
            to.ip.store(from.ip.load(Relaxed), Relaxed);
            to.day.store(from.day.load(Relaxed), Relaxed);
        }
        for (to, from) in to.days.iter().zip(&from.days) {
            to.day.store(from.day.load(Relaxed), Relaxed);
        }
        for (to, from) in to.quarantine.iter().zip(&from.quarantine) {
            to.digest.store(from.digest.load(Relaxed), Relaxed);
            // Pairs with `Board::is_quarantined`.
            to.until.store(from.until.load(Relaxed), Release);
        }
        let mut heritage = Self { old, taken: Vec::new() };
        heritage.take(new);
        heritage
    }

    /// Adds to `new` what the old board counted since the last call. A slot that `new` does not have is counted in its
    /// first frontend's.
    pub fn take(&mut self, new: &Board) {
        let mut taken = std::mem::take(&mut self.taken).into_iter();
        let mut add = |from: &AtomicU64, to: &AtomicU64| {
            let count = from.load(Relaxed);
            to.fetch_add(count.wrapping_sub(taken.next().unwrap_or(0)), Relaxed);
            self.taken.push(count);
        };
        let slots = |board: &Board| ENGINES + board.frontends() as usize;
        for slot in 0..slots(&self.old) {
            let heir = if slot < slots(new) { slot } else { ENGINES };
            let (from, to) = (self.old.block(slot).block, new.block(heir).block);
            counts(from).zip(counts(to)).for_each(|(from, to)| add(from, to));
        }
        for (from, to) in days(self.old.header()).zip(days(new.header())) {
            add(&from.pv, &to.pv);
            for (from, to) in from.uv.iter().chain(&from.ip).zip(to.uv.iter().chain(&to.ip)) {
                to.fetch_max(from.load(Relaxed), Relaxed);
            }
        }
    }
}

fn counts(block: &Block) -> impl Iterator<Item = &AtomicU64> {
    let stages = block.stages.iter().flatten();
    block.counters.iter().chain(&block.codes).chain(&block.batch_sizes).chain(stages).chain(&block.total)
}

fn days(header: &Header) -> impl Iterator<Item = &super::layout::OpenDay> {
    header.days.iter()
}
