//! Lines of planes to lines of pixels: planes that are stored at half size are brought to the picture's, and joined. In whole numbers, bit
//! for bit as `zune-jpeg` does both. Knows neither blocks nor which lines belong together.

use multiversion::multiversion;

/// The samples between two lines that are twice as far apart as the picture's, nearer to `near`.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn between(near: &[u8], far: &[u8], line: &mut [u8]) {
    for ((sample, near), far) in line.iter_mut().zip(near).zip(far) {
        *sample = weighed(*near, *far);
    }
}

/// A line with two samples for each of another one. The outermost ones have no neighbour and are as they are.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn doubled(narrow: &[u8], line: &mut [u8]) {
    let pairs = line.as_chunks_mut::<2>().0;
    let ([first, .., last], [left, inner @ .., right]) = (narrow, pairs) else {
        return line.fill(narrow.first().copied().unwrap_or_default());
    };
    let count = inner.len();
    *left = [*first, weighed(*first, narrow[1])];
    *right = [weighed(*last, narrow[count]), *last];
    let (before, at, behind) = (&narrow[..count], &narrow[1..=count], &narrow[2..]);
    for (((pair, before), at), behind) in inner.iter_mut().zip(before).zip(at).zip(behind) {
        *pair = [weighed(*at, *before), weighed(*at, *behind)];
    }
}

/// Three parts of one and one of the other.
#[inline(always)]
fn weighed(near: u8, far: u8) -> u8 {
    ((3 * u16::from(near) + u16::from(far) + 2) >> 2) as u8
}

/// A line of grey pixels.
pub(super) fn grey(luma: &[u8], line: &mut [u8]) {
    line.as_chunks_mut::<3>().0.iter_mut().zip(luma).for_each(|(pixel, luma)| *pixel = [*luma; 3]);
}

/// A line of pixels.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn join(luma: &[u8], blue: &[u8], red: &[u8], line: &mut [u8]) {
    const LANES: usize = 16;
    let mut at = 0;
    // Four bytes a pixel, of which the next pixel's overwrite the last.
    while let Some(pixels) = line.get_mut(3 * at..).and_then(<[u8]>::first_chunk_mut::<{ 3 * LANES + 1 }>)
        && let (Some(luma), Some(blue), Some(red)) =
            (chunk::<LANES>(luma, at), chunk::<LANES>(blue, at), chunk::<LANES>(red, at))
    {
        let mut packed = [0; LANES];
        for x in 0..LANES {
            let [r, g, b] = rgb(luma[x], blue[x], red[x]);
            packed[x] = r | g << 8 | b << 16;
        }
        for x in 0..LANES {
            pixels[3 * x..3 * x + 4].copy_from_slice(&packed[x].to_le_bytes());
        }
        at += LANES;
    }
    let rest = line.get_mut(3 * at..).unwrap_or_default().as_chunks_mut::<3>().0;
    for (k, pixel) in rest.iter_mut().enumerate() {
        *pixel = rgb(luma[at + k], blue[at + k], red[at + k]).map(|value| value as u8);
    }
}

#[inline(always)]
fn chunk<const N: usize>(line: &[u8], at: usize) -> Option<&[u8; N]> {
    line.get(at..)?.first_chunk()
}

/// BT.601 in full range, as JFIF has it, in factors of 14 bits; a half is rounded down.
#[inline(always)]
fn rgb(luma: u8, blue: u8, red: u8) -> [u32; 3] {
    let (luma, blue, red) = (i32::from(luma) << 14 | 0x1fff, i32::from(blue) - 128, i32::from(red) - 128);
    [luma + 22_970 * red, luma - 5_638 * blue - 11_700 * red, luma + 29_032 * blue]
        .map(|value| (value >> 14).clamp(0, 255) as u32)
}
