use super::*;

#[test]
fn coming_back_makes_sense_when_the_queue_has_gone() {
    for (in_flight, rate, seconds) in
        [(257, 100.0, 3), (257, 1000.0, 1), (257, 0.0, 1), (257, 0.5, 60), (1, f64::MIN_POSITIVE, 60)]
    {
        assert_eq!(retry_after(in_flight, rate), seconds, "{in_flight} at {rate}");
    }
}
