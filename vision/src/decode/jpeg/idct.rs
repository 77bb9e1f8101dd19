//! From a block's coefficients to its samples, in whole numbers: bit for bit what `zune-jpeg` makes of them, which is what `stb_image`
//! does. Knows no plane.
//!
//! The transform is linear but for two roundings, so its sums may be taken in any order; [`avx2`] takes them in another one.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(test)]
mod tests;

/// A block by rows.
type Square<T> = [[T; 8]; 8];

/// What the even coefficients, 0, 4, 2 and 6, weigh at the first two places, in parts of 4096; and the odd ones, 1, 5, 3 and 7, at the
/// first four. At the places from the end the odd ones weigh as much with the other sign.
const EVEN: [[i16; 4]; 2] = [[4096, 4096, 5352, 2217], [4096, -4096, 2217, -5350]];
const ODD: [[i16; 4]; 4] = [
    [5683, 3219, 4816, 1131],
    [4816, -5681, -1129, -3218],
    [3219, 1132, -5681, 4816],
    [1131, 4816, -3218, -5680],
];

/// Two bits of the factors are kept by the first pass. The second one drops them, the factors' own again and three of the transform's, and
/// moves the middle from 0 to 128.
const DOWN: Rounding = Rounding { bias: 1 << 9, shift: 10 };
const ACROSS: Rounding = Rounding { bias: (1 << 9) + (1 << 16) + (128 << 17), shift: 17 };

struct Rounding {
    bias: i32,
    shift: u32,
}

/// Every sample of a block that has no other coefficient than its first.
#[inline(always)]
pub(super) fn mean(first: i32) -> u8 {
    (first.saturating_add(4 + (128 << 3)) >> 3).clamp(0, 255) as u8
}

/// Samples of a block (natural order).
pub(super) fn samples(block: &[i16; 64], steps: &[i16; 64]) -> Square<u8> {
    let mut square = [[0; 8]; 8];
    for ((value, coefficient), step) in square.as_flattened_mut().iter_mut().zip(block).zip(steps) {
        *value = i32::from(*coefficient) * i32::from(*step);
    }
    // As there: it makes a difference where the transform would overflow.
    if square.as_flattened()[1..].iter().all(|value| *value == 0) {
        return [[mean(square[0][0]); 8]; 8];
    }
    for x in 0..8 {
        let column = line(square.map(|row| row[x]), &DOWN);
        square.iter_mut().zip(column).for_each(|(row, value)| row[x] = value);
    }
    square.map(|row| line(row, &ACROSS).map(|value| value.clamp(0, 255) as u8))
}

/// Transforms a line. Of what no encoder writes sums may overflow, here as there.
fn line(values: [i32; 8], rounding: &Rounding) -> [i32; 8] {
    let sum = |places: [usize; 4], weights: &[i16; 4]| {
        places.iter().zip(weights).fold(0i32, |sum, (place, weight)| {
            sum.wrapping_add(values[*place].wrapping_mul(i32::from(*weight)))
        })
    };
    let [e0, e1] = EVEN.each_ref().map(|[zero, four, two, six]| {
        let (outer, inner) =
            (sum([0, 4, 0, 0], &[*zero, *four, 0, 0]), sum([2, 6, 0, 0], &[*two, *six, 0, 0]));
        let outer = outer.wrapping_add(rounding.bias);
        [outer.wrapping_add(inner), outer.wrapping_sub(inner)]
    });
    let even = [e0[0], e1[0], e1[1], e0[1]];
    let odd = ODD.each_ref().map(|weights| sum([1, 5, 3, 7], weights));
    std::array::from_fn(|x| match x {
        0..4 => even[x].wrapping_add(odd[x]) >> rounding.shift,
        _ => even[7 - x].wrapping_sub(odd[7 - x]) >> rounding.shift,
    })
}
