//! The transform against its definition, and in vectors against one line after the other.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;

/// Coefficients as pictures have them, and anything.
fn blocks() -> impl Strategy<Value = [i16; 64]> {
    let few = prop::array::uniform(prop_oneof![6 => Just(0i16), 2 => -40i16..40, 1 => -400i16..400]);
    prop_oneof![few, prop::array::uniform(any::<i16>())]
}

proptest! {
    #[test]
    fn samples_are_those_of_the_definition(block in prop::array::uniform::<_, 64>(-60i16..60)) {
        let samples = samples(&block, &[1; 64]);
        for (y, row) in samples.iter().enumerate() {
            for (x, sample) in row.iter().enumerate() {
                let cosine = |u: usize, x: usize| {
                    let scale = if u == 0 { 0.5f64.sqrt() } else { 1.0 };
                    scale / 2.0 * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()
                };
                let exact: f64 = block
                    .iter()
                    .enumerate()
                    .map(|(k, value)| f64::from(*value) * cosine(k / 8, y) * cosine(k % 8, x))
                    .sum();
                let exact = (exact + 128.0).clamp(0.0, 255.0);
                prop_assert!((exact - f64::from(*sample)).abs() < 1.0, "{} for {}", sample, exact);
            }
        }
    }

    /// As both passes have it, which are left out for such a block.
    #[test]
    fn a_mean_is_every_sample(first in -300i16..300, step in 1i16..100) {
        let mut values = [0; 8];
        values[0] = i32::from(first) * i32::from(step);
        let column = line(values, &DOWN);
        values[0] = column[0];
        let row = line(values, &ACROSS).map(|value| value.clamp(0, 255) as u8);
        prop_assert_eq!(column, [column[0]; 8]);
        prop_assert_eq!(row, [mean(i32::from(first) * i32::from(step)); 8]);
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::*;
    use multiversion::{multiversion, target::match_target};

    #[multiversion(targets("x86_64+avx2"))]
    fn fast(block: &[i16; 64], steps: &[i16; 64]) -> Option<Square<u8>> {
        match_target! {
            "x86_64+avx2" => avx2::samples(block, steps),
            _ => {
                let fits = |(value, step): (&i16, &i16)| (i32::from(*value) * i32::from(*step)).abs() <= 1092;
                block.iter().zip(steps).all(fits).then(|| samples(block, steps))
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn in_vectors_they_are_the_same(block in blocks(), steps in prop::array::uniform(1i16..80)) {
            let fast = fast(&block, &steps);
            let most = block.iter().zip(steps).map(|(value, step)| (i32::from(*value) * i32::from(step)).abs()).max();
            prop_assert_eq!(fast.is_some(), most <= Some(1092));
            prop_assert!(fast.is_none_or(|fast| fast == samples(&block, &steps)));
        }

        /// As far as they are made for, the sums are within what they are made in.
        #[test]
        fn also_at_the_greatest(signs in any::<u64>()) {
            let block = std::array::from_fn(|k| if signs >> k & 1 == 1 { i16::MAX / 30 } else { -(i16::MAX / 30) });
            prop_assert_eq!(fast(&block, &[1; 64]), Some(samples(&block, &[1; 64])));
        }
    }
}
