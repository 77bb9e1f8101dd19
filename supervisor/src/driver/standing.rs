//! What `STATUS=` says while the service serves: the last message and the rate since it was last looked. Only reads the board.

use shm_proto::board::{Board, Counter};
use std::time::{Duration, Instant};

/// How often systemd is told: often enough for a person who looks, too seldom to cost anything.
const EVERY: Duration = Duration::from_secs(5);

/// The counters at the last look.
pub struct Standing {
    images: u64,
    looked: Instant,
}

impl Standing {
    /// Begins to count.
    pub fn new(board: &Board, now: Instant) -> Self {
        Self { images: images(board), looked: now }
    }

    /// One line, when it is time for one.
    pub fn look(&mut self, board: &Board, now: Instant) -> Option<String> {
        let past = now.saturating_duration_since(self.looked);
        if past < EVERY {
            return None;
        }
        let before = std::mem::replace(self, Self::new(board, now));
        let rate = self.images.saturating_sub(before.images) as f64 / past.as_secs_f64();
        Some(format!("{}; {rate:.1} images/s, {} in service", board.message(), board.in_service()))
    }
}

/// Answered by all frontends since the service's start.
fn images(board: &Board) -> u64 {
    let frontends = (0..board.frontends()).filter_map(|slot| u8::try_from(slot).ok());
    frontends.map(|slot| board.frontend(slot).counter(Counter::Detections)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_message_and_rate_every_few_seconds() {
        let name = format!("standing-{}", std::process::id());
        let board = Board::create(&name, 2).unwrap().board;
        board.set_message("serving");
        board.frontend(0).add(Counter::Detections, 7); // before it began to count
        let begun = Instant::now();
        let mut standing = Standing::new(&board, begun);
        board.frontend(0).add(Counter::Detections, 30);
        board.frontend(1).add(Counter::Detections, 25);
        board.frontend(1).request_entered();
        assert_eq!(standing.look(&board, begun + EVERY / 2), None);
        let told = standing.look(&board, begun + EVERY);
        assert_eq!(told.as_deref(), Some("serving; 11.0 images/s, 1 in service"));
        assert_eq!(standing.look(&board, begun + EVERY), None);
        let told = standing.look(&board, begun + EVERY * 2);
        assert_eq!(told.as_deref(), Some("serving; 0.0 images/s, 1 in service"), "only what is new counts");
    }
}
