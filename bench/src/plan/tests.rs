use super::*;

fn demand() -> Demand {
    Demand {
        views: Views::Day(1e6),
        peak: Peak::Share { requests: 0.8, day: 0.2 },
        qps: 35.0,
        source: "given".to_owned(),
        simulated: false,
        headroom: 0.0,
        spare: 0,
        hourly: None,
    }
}

fn value(plan: &Plan, what: &str) -> f64 {
    plan.steps.iter().find(|step| step.what == what).unwrap_or_else(|| panic!("no {what}")).value
}

#[test]
fn the_report_is_reckoned_as_it_was() {
    let plan = plan(&demand()).unwrap();
    assert_eq!((plan.peak_qps, plan.machines), (47, 2));
    assert!((value(&plan, "peak QPS") - 46.2963).abs() < 1e-3);
    let text = text(&plan);
    assert!(text.contains("1000000 × 0.8 / (86400 × 0.2)") && text.contains("46.3\n"), "{text}");
    assert!(text.contains("47 QPS at the peak: 2 machines"), "{text}");
}

#[test]
fn headroom_spares_and_money_add_up() {
    let plan = plan(&Demand { headroom: 0.4, spare: 1, hourly: Some(0.5), ..demand() }).unwrap();
    // 47 / 21 = 2.24: three, and one that may fail.
    assert_eq!(plan.machines, 4);
    assert!((value(&plan, "cost a day") - 48.0).abs() < 1e-9);
    assert!((value(&plan, "cost a month") - 1440.0).abs() < 1e-9);
    assert!((value(&plan, "cost of a million images") - 48.0).abs() < 1e-9);
    assert_eq!((value(&plan, "machines needed"), value(&plan, "machines")), (3.0, 4.0));
    // What the three serve: the fourth is there to fail.
    assert!((value(&plan, "most requests a day") - 3.0 * 21.0 / 46.2963 * 1e6).abs() < 20.0);
}

#[test]
fn a_month_becomes_a_day_in_a_step_of_its_own() {
    let plan = plan(&Demand { views: Views::Month(1e6), ..demand() }).unwrap();
    assert!((value(&plan, "requests a day") - 1e6 / 30.0).abs() < 1e-9);
    let text = text(&plan);
    assert!(text.contains("PV a month / 30\n    = 1000000 / 30\n    = 33333.33\n"), "{text}");
    assert!(text.contains("33333.33 / 86400"), "{text}");
}

#[test]
fn small_numbers_keep_their_digits() {
    let text = text(&plan(&Demand { views: Views::Day(100.0), ..demand() }).unwrap());
    assert!(text.contains("= 100 / 86400\n    = 0.00116\n"), "{text}");
    let cases = [0.0, 0.1, 0.999_96, 1.0, 46.2963, 0.000_123_456, 1e6, -0.5].map(short);
    assert_eq!(cases, ["0", "0.1", "1", "1", "46.3", "0.000123", "1000000", "-0.5"]);
}

#[test]
fn what_was_simulated_is_called_so_in_both_forms() {
    let demand = Demand { source: "scale.json: SIMULATED".to_owned(), simulated: true, ..demand() };
    let plan = plan(&demand).unwrap();
    assert!(text(&plan).lines().last().unwrap().contains("SIMULATED"), "{}", text(&plan));
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!((&json["simulated"], &json["source"]), (&true.into(), &"scale.json: SIMULATED".into()));
}

#[test]
fn other_days_have_other_peaks() {
    let of = |peak| value(&plan(&Demand { peak, ..demand() }).unwrap(), "peak QPS");
    assert!((of(Peak::Factor(3.0)) - 34.722).abs() < 1e-3);
    assert!((of(Peak::Curve(vec![1.0; 24])) - 11.574).abs() < 1e-3);
    assert!((of(Peak::Curve(vec![1.0, 3.0])) - 1e6 * 0.75 / 43_200.0).abs() < 1e-9);
}

#[test]
fn a_whole_number_is_not_rounded_up() {
    let exact = Demand { views: Views::Day(864_000.0), peak: Peak::Factor(7.0), qps: 35.0, ..demand() };
    let plan = plan(&exact).unwrap();
    assert_eq!((plan.peak_qps, plan.machines), (70, 2));
}

#[test]
fn nonsense_is_refused() {
    for wrong in [
        Demand { views: Views::Day(0.0), ..demand() },
        Demand { views: Views::Month(f64::INFINITY), ..demand() },
        Demand { qps: f64::NAN, ..demand() },
        Demand { headroom: 1.0, ..demand() },
        Demand { peak: Peak::Share { requests: 1.2, day: 0.2 }, ..demand() },
        Demand { peak: Peak::Curve(vec![]), ..demand() },
        Demand { peak: Peak::Curve(vec![0.0]), ..demand() },
    ] {
        assert!(plan(&wrong).is_err(), "{wrong:?}");
    }
}
