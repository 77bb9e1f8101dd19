//! Whether everybody is alive this instant: a process that hangs since a moment ago looks as healthy as the others until
//! its heart should have beaten. Asks nobody; reads heartbeats that it is given.

use crate::core::child::ChildId;

/// Those who have not been heard since the roll call began, each with its heartbeat then.
pub struct RollCall(Vec<(ChildId, u64)>);

impl RollCall {
    /// Begins one.
    pub fn of(children: impl Iterator<Item = (ChildId, u64)>) -> Self {
        Self(children.collect())
    }

    /// Whether all have been heard or have gone; who hangs is killed by those who watch heartbeats. `beat` tells the heartbeat
    /// of who is there.
    pub fn is_over(&mut self, beat: impl Fn(ChildId) -> Option<u64>) -> bool {
        self.0.retain(|(child, before)| beat(*child) == Some(*before));
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::child::Kind;

    #[test]
    fn it_is_over_when_everybody_was_heard_or_has_gone() {
        let [one, two] = [0, 1].map(|slot| ChildId { kind: Kind::Frontend, slot, generation: 1 });
        let mut roll = RollCall::of([(one, 7), (two, 9)].into_iter());
        assert!(!roll.is_over(|child| Some(if child == one { 8 } else { 9 })));
        assert!(
            !roll.is_over(|child| Some(if child == one { 7 } else { 9 })),
            "who was heard is not asked again"
        );
        assert!(roll.is_over(|_| None), "the other was killed");
        assert!(RollCall::of(std::iter::empty()).is_over(|_| None));
    }
}
