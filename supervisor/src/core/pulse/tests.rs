//! Silence grows while a heartbeat stands still, and a freeze of the whole machine is no silence.

use super::*;
use crate::core::child::Kind;

const CHILD: ChildId = ChildId { kind: Kind::Frontend, slot: 0, generation: 1 };
const LOOK: Duration = Duration::from_millis(250);

#[test]
fn a_beating_child_is_never_quiet() {
    let (mut pulses, start) = (Pulses::default(), Instant::now());
    assert!((0..100).all(|i| pulses.look(CHILD, u64::from(i), start + LOOK * i).quiet.is_zero()));
}

#[test]
fn silence_adds_up_and_one_beat_ends_it() {
    let (mut pulses, start) = (Pulses::default(), Instant::now());
    let quiet: Vec<_> = (0..4).map(|i| pulses.look(CHILD, 7, start + LOOK * i).quiet).collect();
    assert_eq!(quiet, [Duration::ZERO, LOOK, LOOK * 2, LOOK * 3]);
    let fresh = Silence { quiet: Duration::ZERO, has_beaten: true };
    assert_eq!(pulses.look(CHILD, 8, start + LOOK * 4), fresh);
}

#[test]
fn half_a_minute_of_frozen_machine_counts_as_one_step() {
    let (mut pulses, start) = (Pulses::default(), Instant::now());
    pulses.look(CHILD, 7, start);
    assert_eq!(pulses.look(CHILD, 7, start + Duration::from_secs(30)).quiet, LONGEST_STEP);
}
