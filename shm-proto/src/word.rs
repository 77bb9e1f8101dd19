//! The seat word: one `u64` that says in which state a seat is and whose it is, so that becoming the owner and
//! being known as the owner are one atomic step. Pure bit arithmetic; no atomic is touched here.
//!
//! ```text
//!  63            27 26        11 10       3 2     0
//! │ ticket (37)    │ generation │ slot (8) │ state │
//! ```

use std::fmt;

/// A frontend process: its slot in the process table and which process in that slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Slot in the process table, below [`crate::ring::MAX_FRONTENDS`].
    pub slot: u8,
    /// Counts the processes that had this slot.
    pub generation: u16,
}

/// Where a seat is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SeatState {
    /// Nobody's.
    Free = 0,
    /// Handed by whoever gave it back to a frontend that waits; not yet picked up.
    Granted = 1,
    /// Its owner writes the input.
    Claimed = 2,
    /// The input is written; the next free lane may take it.
    Submitted = 3,
    /// A lane runs it.
    Running = 4,
    /// The outputs are there for the owner to read.
    Answered = 5,
    /// A lane runs it, but the owner has gone: the engine frees it.
    Abandoned = 6,
}

impl SeatState {
    /// Every state, in the order of a seat's life.
    pub const ALL: [Self; 7] = [
        Self::Free,
        Self::Granted,
        Self::Claimed,
        Self::Submitted,
        Self::Running,
        Self::Answered,
        Self::Abandoned,
    ];

    /// The state's name in metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Granted => "granted",
            Self::Claimed => "claimed",
            Self::Submitted => "submitted",
            Self::Running => "running",
            Self::Answered => "answered",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A seat word, decoded. What shared memory holds is never trusted: [`SeatWord::decode`] refuses what no process
/// of ours writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeatWord(u64);

const STATE_BITS: u32 = 3;
const SLOT_SHIFT: u32 = STATE_BITS;
const GENERATION_SHIFT: u32 = SLOT_SHIFT + 8;
const TICKET_SHIFT: u32 = GENERATION_SHIFT + 16;
/// Tickets are compared modulo this.
pub(crate) const TICKET_MASK: u64 = (1 << (64 - TICKET_SHIFT)) - 1;

impl SeatWord {
    /// A seat that is nobody's. All-zero memory is a free ring.
    pub(crate) const FREE: Self = Self(0);

    /// A word for an owned seat.
    pub(crate) const fn new(state: SeatState, owner: Owner, ticket: u64) -> Self {
        Self(
            state as u64
                | (owner.slot as u64) << SLOT_SHIFT
                | (owner.generation as u64) << GENERATION_SHIFT
                | (ticket & TICKET_MASK) << TICKET_SHIFT,
        )
    }

    /// The word that lay in shared memory; `None` when it has a state that does not exist.
    pub(crate) const fn decode(raw: u64) -> Option<Self> {
        if raw & ((1 << STATE_BITS) - 1) <= SeatState::Abandoned as u64 { Some(Self(raw)) } else { None }
    }

    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    pub(crate) const fn state(self) -> SeatState {
        match self.0 & ((1 << STATE_BITS) - 1) {
            0 => SeatState::Free,
            1 => SeatState::Granted,
            2 => SeatState::Claimed,
            3 => SeatState::Submitted,
            4 => SeatState::Running,
            5 => SeatState::Answered,
            // `decode` lets nothing above through.
            _ => SeatState::Abandoned,
        }
    }

    pub(crate) const fn owner(self) -> Owner {
        Owner { slot: (self.0 >> SLOT_SHIFT) as u8, generation: (self.0 >> GENERATION_SHIFT) as u16 }
    }

    pub(crate) const fn ticket(self) -> u64 {
        self.0 >> TICKET_SHIFT
    }

    /// The same seat in another state.
    pub(crate) const fn with_state(self, state: SeatState) -> Self {
        Self(self.0 & !((1 << STATE_BITS) - 1) | state as u64)
    }

    /// Whether this word's ticket was drawn before the other's. Tickets wrap; they are compared on a circle.
    pub(crate) const fn is_older_than(self, other: Self) -> bool {
        let distance = other.ticket().wrapping_sub(self.ticket()) & TICKET_MASK;
        distance != 0 && distance <= TICKET_MASK / 2
    }
}

impl fmt::Debug for SeatWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.owner();
        write!(f, "{:?}({}.{} #{})", self.state(), owner.slot, owner.generation, self.ticket())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
