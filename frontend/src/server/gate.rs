//! Whose turn it is to accept. Owns the rule, and how long a frontend has held back.

use shm_proto::board::Board;
use shm_proto::clock::{self, Nanos};

/// A frontend that gave no sign of life for this long is not waited for.
const STALE: Nanos = 1_000_000_000;
/// For each such time that a connection was left to others, one connection more than theirs is fair.
const PATIENCE: Nanos = 3_000_000;

/// How long the connection at the door has been left to others.
#[derive(Debug, Default)]
pub(super) struct Gate {
    since: Option<Nanos>,
}

impl Gate {
    /// Whether the frontend in `slot` should take the connection at the door.
    pub(super) fn lets_pass(&mut self, board: &Board, slot: u8) -> bool {
        let now = clock::now();
        let waited = now.saturating_sub(*self.since.get_or_insert(now));
        let mine = board.frontend(slot).connections();
        let fewest = board.fewest_connections(now.saturating_sub(STALE));
        is_fair(mine, fewest, waited)
    }

    /// The connection at the door has gone in.
    pub(super) fn close(&mut self) {
        self.since = None;
    }
}

/// `fewest`: the connections of the least loaded frontend that lives and serves, this one included.
fn is_fair(mine: u32, fewest: Option<u32>, waited: Nanos) -> bool {
    let lead = u64::from(mine).saturating_sub(fewest.unwrap_or(mine).into());
    lead <= waited / PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_goes_first() {
        assert!(is_fair(3, Some(3), 0));
        assert!(!is_fair(4, Some(3), 0));
        assert!(is_fair(3, None, 0), "a frontend that knows of nobody accepts");
    }

    #[test]
    fn nobody_holds_back_for_ever() {
        assert!(!is_fair(5, Some(3), PATIENCE));
        assert!(is_fair(5, Some(3), 2 * PATIENCE));
    }
}
