//! Pictures with their boxes, as JPEG files in a folder of their own, below the path that the picture's name has.

use crate::BatchError;
use crate::record::Record;
use std::path::{Component, Path, PathBuf};
use vision::decode::decode;
use vision::draw::{Annotation, annotate, encode_jpeg};

/// Quality of the JPEG files.
const QUALITY: u8 = 90;

/// Draws what was found in a picture. Nothing for a bad one and for a classifier's answer.
///
/// # Errors
/// A file that cannot be written.
pub fn draw(folder: &Path, record: &Record, bytes: &[u8]) -> Result<(), BatchError> {
    let Some(found) = &record.detections else { return Ok(()) };
    let Ok(mut picture) = decode(bytes, &crate::decoded_before()) else { return Ok(()) };
    // The best come last, so that nothing is drawn over them.
    let boxes: Vec<Annotation> = found
        .iter()
        .rev()
        .map(|found| Annotation {
            r#box: found.bbox.unwrap_or_default().map(|x| x as f32),
            label: found.label.clone(),
            score: found.score as f32,
            class: usize::try_from(found.class).unwrap_or_default(),
        })
        .collect();
    annotate(&mut picture, &boxes);
    let Ok(jpeg) = encode_jpeg(&picture, QUALITY) else { return Ok(()) };
    let path = folder.join(below(&record.image));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(BatchError::at(parent))?;
    }
    std::fs::write(&path, jpeg).map_err(BatchError::at(path))
}

/// A name as a path that cannot leave the folder, ending in .jpg.
fn below(name: &str) -> PathBuf {
    let parts = Path::new(name).components().filter(|part| matches!(part, Component::Normal(_)));
    let mut path: PathBuf = parts.collect();
    let is_jpeg = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("jpg") || ending.eq_ignore_ascii_case("jpeg"));
    if !is_jpeg {
        path.as_mut_os_string().push(".jpg");
    }
    path
}

#[cfg(test)]
mod tests;
