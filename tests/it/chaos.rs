//! The short form of every promise about faults. `make chaos` plays the long one and looks at the times, too.

use e2e::chaos::Plan;
use e2e::chaos::report::{Report, table};
use e2e::chaos::scenarios;

macro_rules! short {
    ($($name:ident,)+) => {
        $(#[test]
        fn $name() {
            scenarios::$name(&Plan::short()).assert();
        })+

        #[test]
        fn every_scenario_has_its_short_form() {
            let tested = [$(stringify!($name)),+];
            assert_eq!(tested.len(), scenarios::ALL.len(), "{tested:?}");
        }
    };
}

short! {
    engine_kills,
    standby_kills,
    frontend_kills,
    engine_hangs,
    frontend_hangs,
    short_pauses,
    reloads,
    model_swaps,
    upgrades,
    restarts_on_a_socket,
    broken_changes,
    supervisor_kill,
    overload_threefold,
    overload_tenfold,
    slow_clients,
    vanishing_clients,
    few_descriptors,
    poison,
    random_pairs,
}

#[test]
fn the_table_has_a_row_a_report_and_says_what_was_not_kept() {
    let mut report = Report::new("a | b", "all");
    report.saw("much");
    let kept = table(&[report.clone()]);
    assert!(kept.ends_with("| a / b | all | much | kept |\n"), "{kept}");
    report.must(false, "one thing");
    assert!(table(&[report]).contains("| much; one thing | **not kept** |"));
}
