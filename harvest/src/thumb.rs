//! Small copies of pictures for the review's grid: made once, kept on disk, made again when they are gone.

use crate::files;
use crate::keep::thumbnail;
use std::fs;
use std::io;
use std::path::Path;
use vision::decode::{Limits, decode};
use vision::draw::encode_jpeg;
use vision::picture::Picture;

/// Long side in pixels.
pub const SIDE: u32 = 320;
/// Of the JPEG, 1 to 100.
const QUALITY: u8 = 80;

/// The thumbnail of the picture that lies there.
///
/// # Errors
/// The file system's; `InvalidData` for a file that is no picture.
pub fn of(root: &Path, id: &str, picture: &Path, limits: &Limits) -> io::Result<Vec<u8>> {
    let kept = thumbnail(root, id);
    if let Ok(jpeg) = fs::read(&kept) {
        return Ok(jpeg);
    }
    let invalid =
        |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let whole = decode(&fs::read(root.join(picture))?, limits).map_err(|error| invalid(&error))?;
    let jpeg = encode_jpeg(&smaller(&whole, SIDE), QUALITY).map_err(|error| invalid(&error))?;
    if let Ok(place) = kept.strip_prefix(root) {
        let _ = files::put(root, place, &jpeg); // on a full disk it is made again each time
    }
    Ok(jpeg)
}

/// The picture with its long side at most so many pixels, each the mean of those that it stands for.
pub fn smaller(picture: &Picture, most: u32) -> Picture {
    let long = picture.width.max(picture.height);
    if long <= most {
        return picture.clone();
    }
    let fit = |side: u32| (u64::from(side) * u64::from(most) / u64::from(long)).max(1) as u32;
    let (width, height) = (fit(picture.width), fit(picture.height));
    let edge = |at: u32, of: u32, whole: u32| (u64::from(at) * u64::from(whole) / u64::from(of)) as usize;
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        let rows = edge(y, height, picture.height)..edge(y + 1, height, picture.height);
        for x in 0..width {
            let columns = edge(x, width, picture.width)..edge(x + 1, width, picture.width);
            let (mut sums, mut count) = ([0u32; 3], 0u32);
            for row in rows.clone() {
                let at = row * picture.width as usize;
                let (pixels, _) =
                    picture.rgb[(at + columns.start) * 3..(at + columns.end) * 3].as_chunks::<3>();
                for pixel in pixels {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
                }
                count += pixels.len() as u32;
            }
            rgb.extend(sums.map(|sum| (sum / count.max(1)) as u8));
        }
    }
    Picture { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{detected, index};

    #[test]
    fn a_thumbnail_is_made_once_and_again_when_it_is_gone() {
        let root = tempfile::tempdir().expect("a folder");
        let index = index(root.path(), &[detected("A", "dog", 0.5)]);
        let path = index.entry("A").expect("SQLite").expect("a row").path;
        let first = of(root.path(), "A", &path, &Limits::default()).expect("a thumbnail");
        let kept = thumbnail(root.path(), "A");
        assert_eq!(fs::read(&kept).expect("it is kept"), first);
        fs::write(&kept, b"kept").expect("room");
        assert_eq!(of(root.path(), "A", &path, &Limits::default()).expect("a thumbnail"), b"kept");
        fs::remove_file(&kept).expect("ours");
        assert_eq!(of(root.path(), "A", &path, &Limits::default()).expect("a thumbnail"), first);
    }

    #[test]
    fn a_large_picture_becomes_small_and_keeps_its_colours() {
        let rgb =
            (0..1000 * 500).flat_map(|at| if at % 1000 < 500 { [250, 0, 0] } else { [0, 0, 250] }).collect();
        let small = smaller(&Picture { width: 1000, height: 500, rgb }, SIDE);
        assert_eq!((small.width, small.height), (320, 160));
        assert!(small.is_consistent());
        assert_eq!(
            (&small.rgb[..3], &small.rgb[small.rgb.len() - 3..]),
            (&[250, 0, 0][..], &[0, 0, 250][..])
        );
    }
}
