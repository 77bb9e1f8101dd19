//! The policy's numbers, and that its delays stay within bounds whatever the history.

use super::*;
use proptest::prelude::*;

fn after(deaths: usize, spacing: Duration) -> Verdict {
    let (policy, start, mut log) = (Policy::default(), Instant::now(), Deaths::default());
    (0..deaths).map(|i| log.count(&policy, None, 1.0, start + spacing * i as u32)).last().expect("one death")
}

#[test]
fn delays_double_up_to_the_longest() {
    let spacing = Duration::from_secs(15);
    for (deaths, millis) in [(1, 100), (2, 200), (3, 400), (6, 3200), (7, 5000), (10, 5000)] {
        assert_eq!(after(deaths, spacing), Verdict::Retry(Duration::from_millis(millis)), "{deaths} deaths");
    }
}

#[test]
fn more_than_five_in_a_minute_are_unstable_and_more_than_ten_in_ten_minutes_hopeless() {
    let second = Duration::from_secs(1);
    assert!(matches!(after(5, second), Verdict::Retry(_)));
    assert!(matches!(after(6, second), Verdict::Unstable(_)));
    assert!(matches!(after(10, second), Verdict::Unstable(_)));
    assert_eq!(after(11, second), Verdict::Hopeless);
    assert!(matches!(after(40, Duration::from_secs(61)), Verdict::Retry(_)), "one a minute is bearable");
}

#[test]
fn a_minute_of_work_wipes_the_sheet() {
    let (policy, start, mut log) = (Policy::default(), Instant::now(), Deaths::default());
    for _ in 0..10 {
        log.count(&policy, None, 1.0, start);
    }
    let later = start + Duration::from_secs(61);
    assert_eq!(log.count(&policy, Some(start), 1.0, later), Verdict::Retry(Duration::ZERO));
    assert_eq!(log.len(), 1);
}

#[test]
fn who_worked_for_a_second_is_replaced_at_once_however_often_it_dies_but_not_for_ever() {
    let (policy, start, mut log) = (Policy::default(), Instant::now(), Deaths::default());
    for death in 0..3 {
        log.count(&policy, None, 1.0, start + death * Duration::from_millis(10));
    }
    for second in 2..9 {
        let now = start + Duration::from_secs(second);
        match log.count(&policy, Some(now - policy.settled), 1.0, now) {
            Verdict::Retry(delay) | Verdict::Unstable(delay) => assert_eq!(delay, Duration::ZERO),
            Verdict::Hopeless => panic!("not yet"),
        }
    }
    let now = start + Duration::from_secs(9);
    assert_eq!(log.count(&policy, Some(now - policy.settled), 1.0, now), Verdict::Hopeless);
}

proptest! {
    #[test]
    fn every_delay_lies_between_four_fifths_of_the_first_and_the_longest(
        gaps in prop::collection::vec((0u64..200_000, 0.0f64..1.0), 1..60)
    ) {
        let (policy, mut now, mut log) = (Policy::default(), Instant::now(), Deaths::default());
        for (gap, chance) in gaps {
            now += Duration::from_millis(gap);
            match log.count(&policy, None, chance, now) {
                Verdict::Retry(delay) | Verdict::Unstable(delay) => {
                    prop_assert!(delay >= policy.first.mul_f64(0.8) && delay <= policy.longest);
                }
                Verdict::Hopeless => prop_assert!(log.len() > policy.hopeless),
            }
        }
    }
}
