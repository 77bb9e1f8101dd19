use super::*;
use proptest::prelude::*;

#[test]
fn durations() {
    for (text, micros) in [
        ("250ms", 250_000),
        ("10s", 10_000_000),
        ("1.5s", 1_500_000),
        ("2m", 120_000_000),
        ("0", 0),
        ("7us", 7),
    ] {
        assert_eq!(parse_duration(text).map(|d| d.as_micros()), Ok(micros), "{text}");
    }
    for text in ["", "10", "s", "-1s", "1 fortnight", "1e3s", "9999999999999999999999h"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn sizes() {
    for (text, bytes) in
        [("20MiB", 20 << 20), ("512KiB", 512 << 10), ("1.5K", 1536), ("7", 7), ("0", 0), ("2GiB", 2 << 30)]
    {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "MiB", "-1", "1.0001K", "1TB", "99999999999999GiB"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn round_trips(micros in 0u64..10_000_000_000_000, bytes in 0u64..1 << 50) {
        let duration = Duration::from_micros(micros);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
    }
}
