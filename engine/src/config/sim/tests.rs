use super::*;

fn point(images: u32, ms: u64) -> Point {
    Point { images, time: Duration::from_millis(ms) }
}

#[test]
fn a_curve_is_lines_between_its_points_and_goes_on_beyond() {
    let curve = Curve::new(vec![point(1, 4), point(4, 10), point(8, 12)], 1.0);
    for (images, ms) in [(1, 4.0), (2, 6.0), (4, 10.0), (6, 11.0), (8, 12.0), (12, 14.0)] {
        assert!(
            (curve.time(images).as_secs_f64() * 1e3 - ms).abs() < 1e-6,
            "{images}: {:?}",
            curve.time(images)
        );
    }
    assert_eq!(curve.per_image(8), Duration::from_micros(1500));
}

#[test]
fn below_the_first_point_a_run_takes_as_long_as_there() {
    assert_eq!(Curve::new(vec![point(4, 10), point(8, 12)], 1.0).time(1), Duration::from_millis(10));
}

#[test]
fn one_point_is_the_price_of_an_image() {
    assert_eq!(Curve::new(vec![point(2, 10)], 1.0).time(3), Duration::from_millis(15));
}

#[test]
fn a_faster_accelerator_takes_less() {
    assert_eq!(Curve::new(vec![point(1, 10)], 4.0).time(1), Duration::from_micros(2500));
}

#[test]
fn what_cannot_be_is_named() {
    let wrong = |config: SimConfig, key: &str| {
        let error = config.check().unwrap_err();
        assert!(error.contains(key), "{error}");
    };
    wrong(SimConfig { speedup: 0.0, ..SimConfig::default() }, "engine.sim.speedup");
    wrong(SimConfig { speedup: f64::NAN, ..SimConfig::default() }, "engine.sim.speedup");
    for curve in
        [vec![point(0, 1)], vec![point(1, 0)], vec![point(2, 1), point(2, 2)], vec![point(2, 1), point(1, 2)]]
    {
        wrong(SimConfig { curve, ..SimConfig::default() }, "engine.sim.curve");
    }
    assert_eq!(SimConfig::default().check(), Ok(()));
}
