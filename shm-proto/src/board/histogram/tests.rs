use super::*;
use proptest::prelude::*;

fn histogram(bits: u32, times: &[u64]) -> Histogram {
    let cells: Vec<AtomicU64> = (0..words(bits)).map(|_| AtomicU64::new(0)).collect();
    for &nanos in times {
        record(&cells, bits, nanos);
    }
    Histogram::copy(&cells, bits)
}

proptest! {
    #[test]
    fn a_time_lies_in_its_bucket(bits in 3u32..=5, nanos in 0u64..134_000_000_000) {
        let index = index(bits, nanos);
        prop_assert!(lower_bound(bits, index) <= nanos);
        prop_assert!(nanos < lower_bound(bits, index + 1));
    }

    #[test]
    fn quantiles_are_close(times in proptest::collection::vec(1_000_000u64..10_000_000_000, 1..300), q in 0.0..=1.0f64) {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
        let exact = sorted[rank - 1] as f64;
        let found = histogram(5, &times).quantile(q);
        prop_assert!((found - exact).abs() / exact <= 0.017, "{found} for {exact}");
    }

    #[test]
    fn merge_and_since_are_inverse(a in proptest::collection::vec(0u64..1 << 40, 0..50), b in proptest::collection::vec(0u64..1 << 40, 0..50)) {
        let (first, second) = (histogram(3, &a), histogram(3, &b));
        let mut both = first.clone();
        both.merge(&second);
        prop_assert_eq!(both.count(), (a.len() + b.len()) as u64);
        let later = both.since(&first);
        prop_assert_eq!((later.count(), later.sum()), (second.count(), second.sum()));
    }
}

#[test]
fn nothing_and_too_much() {
    let empty = histogram(5, &[]);
    assert_eq!((empty.quantile(0.5), empty.mean(), empty.count()), (0.0, 0.0, 0));
    let long = histogram(5, &[u64::MAX / 2]);
    assert_eq!((long.count(), long.max()), (1, u64::MAX / 2));
}
