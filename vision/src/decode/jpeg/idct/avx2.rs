//! The same in vectors, for coefficients of 16 bits: two products and their sum are one instruction then.

use super::{ACROSS, DOWN, EVEN, ODD, Rounding};
use bytemuck::cast;
use core::arch::x86_64::*;

/// Greatest coefficient of which the first pass surely makes numbers of 16 bits: the factors of one place sum up to less than 30.
const MOST: i16 = i16::MAX / 30;

/// Samples of a block (natural order), unless it has coefficients that no encoder writes.
#[target_feature(enable = "avx2")]
#[inline]
pub(in super::super) fn samples(block: &[i16; 64], steps: &[i16; 64]) -> Option<[[u8; 8]; 8]> {
    let (blocks, steps) = (block.as_chunks::<16>().0, steps.as_chunks::<16>().0);
    let mut rows = [_mm256_setzero_si256(); 4];
    let mut excess = _mm256_setzero_si256();
    for k in 0..4 {
        let (coefficients, steps) = (cast(blocks[k]), cast(steps[k]));
        let value = _mm256_mullo_epi16(coefficients, steps);
        // Of a product of 16 bits the upper half is nothing but the sign.
        let upper = _mm256_xor_si256(_mm256_mulhi_epi16(coefficients, steps), _mm256_srai_epi16::<15>(value));
        let above = _mm256_subs_epu16(_mm256_abs_epi16(value), _mm256_set1_epi16(MOST));
        excess = _mm256_or_si256(excess, _mm256_or_si256(upper, above));
        // Columns 0 to 3 of two rows in the one half, 4 to 7 in the other.
        rows[k] = _mm256_permute4x64_epi64::<0b11_01_10_00>(value);
    }
    if _mm256_testz_si256(excess, excess) == 0 {
        return None;
    }

    let pairs = [
        _mm256_unpacklo_epi16(rows[0], rows[2]),
        _mm256_unpacklo_epi16(rows[1], rows[3]),
        _mm256_unpackhi_epi16(rows[0], rows[2]),
        _mm256_unpackhi_epi16(rows[1], rows[3]),
    ];
    let lines = pass::<{ DOWN.shift as i32 }>(pairs, &DOWN);

    // Rows again, two in a vector; then columns 0 and 4, 1 and 5 ... side by side; then the same columns of four rows.
    let [a, b, c, d] = [0, 2, 4, 6].map(|k| _mm256_packs_epi32(lines[k], lines[k + 1]));
    let [(a, b), (c, d)] = [(a, c), (b, d)].map(|(first, second)| {
        let left = _mm256_permute2x128_si256::<0x20>(first, second);
        let right = _mm256_permute2x128_si256::<0x31>(first, second);
        (_mm256_unpacklo_epi16(left, right), _mm256_unpackhi_epi16(left, right))
    });
    let [(a, b), (c, d)] =
        [(a, b), (c, d)].map(|(a, b)| (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)));
    let pairs = [
        _mm256_unpacklo_epi64(a, c),
        _mm256_unpacklo_epi64(b, d),
        _mm256_unpackhi_epi64(a, c),
        _mm256_unpackhi_epi64(b, d),
    ];
    let lines = pass::<{ ACROSS.shift as i32 }>(pairs, &ACROSS);

    // Four samples of a row stand four apart in each half.
    let turn =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    let [left, right] = [0, 4].map(|k| {
        let [a, b] = [k, k + 2].map(|k| _mm256_packs_epi32(lines[k], lines[k + 1]));
        _mm256_shuffle_epi8(_mm256_packus_epi16(a, b), turn)
    });
    let [even, odd]: [[[u8; 8]; 4]; 2] =
        [cast(_mm256_unpacklo_epi32(left, right)), cast(_mm256_unpackhi_epi32(left, right))];
    Some([even[0], even[1], odd[0], odd[1], even[2], even[3], odd[2], odd[3]])
}

/// Transforms eight lines side by side, of which coefficients 0 and 4, 2 and 6, 1 and 5, 3 and 7 come in pairs.
#[target_feature(enable = "avx2")]
#[inline]
fn pass<const SHIFT: i32>([zero, two, one, three]: [__m256i; 4], rounding: &Rounding) -> [__m256i; 8] {
    let weighed = |pairs, [first, second]: [i16; 2]| {
        _mm256_madd_epi16(pairs, _mm256_set1_epi32(i32::from(first) & 0xffff | i32::from(second) << 16))
    };
    let bias = _mm256_set1_epi32(rounding.bias);
    let [e0, e1] = EVEN.map(|[a, b, c, d]| {
        let (outer, inner) = (_mm256_add_epi32(weighed(zero, [a, b]), bias), weighed(two, [c, d]));
        [_mm256_add_epi32(outer, inner), _mm256_sub_epi32(outer, inner)]
    });
    let even = [e0[0], e1[0], e1[1], e0[1]];
    let odd = ODD.map(|[a, b, c, d]| _mm256_add_epi32(weighed(one, [a, b]), weighed(three, [c, d])));
    let mut lines = [bias; 8];
    for x in 0..4 {
        lines[x] = _mm256_srai_epi32::<SHIFT>(_mm256_add_epi32(even[x], odd[x]));
        lines[7 - x] = _mm256_srai_epi32::<SHIFT>(_mm256_sub_epi32(even[x], odd[x]));
    }
    lines
}
