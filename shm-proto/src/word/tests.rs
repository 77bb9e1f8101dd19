use super::*;
use proptest::prelude::*;

fn states() -> impl Strategy<Value = SeatState> {
    proptest::sample::select(SeatState::ALL.to_vec())
}

proptest! {
    #[test]
    fn packs_and_unpacks(state in states(), slot: u8, generation: u16, ticket in 0..=TICKET_MASK) {
        let owner = Owner { slot, generation };
        let word = SeatWord::new(state, owner, ticket);
        prop_assert_eq!((word.state(), word.owner(), word.ticket()), (state, owner, ticket));
        prop_assert_eq!(SeatWord::decode(word.raw()), Some(word));
    }

    #[test]
    fn another_state_keeps_the_rest(from in states(), to in states(), slot: u8, generation: u16, ticket in 0..=TICKET_MASK) {
        let owner = Owner { slot, generation };
        prop_assert_eq!(SeatWord::new(from, owner, ticket).with_state(to), SeatWord::new(to, owner, ticket));
    }

    #[test]
    fn age_is_an_order_on_the_circle(start in 0..=TICKET_MASK, ahead in 1..TICKET_MASK / 2) {
        let owner = Owner { slot: 0, generation: 0 };
        let old = SeatWord::new(SeatState::Submitted, owner, start);
        let new = SeatWord::new(SeatState::Submitted, owner, start.wrapping_add(ahead));
        prop_assert!(old.is_older_than(new));
        prop_assert!(!new.is_older_than(old));
        prop_assert!(!old.is_older_than(old));
    }
}

#[test]
fn a_state_that_does_not_exist_is_refused() {
    assert_eq!(SeatWord::decode(7), None);
    assert_eq!(SeatWord::decode(u64::MAX), None);
    assert_eq!(SeatWord::decode(0), Some(SeatWord::FREE));
}
