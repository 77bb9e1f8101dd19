//! Boxes and labels on a picture, and a picture back to an image file.
//!
//! `text` owns the letters, `encode` the file formats; this file owns sizes, colours and where a label goes.
//! Everything scales with the picture, so an annotated 12-megapixel photo reads like an annotated thumbnail.
//! Shapes that lie partly or wholly outside the picture are cut off, never an error.

mod encode;
#[cfg(test)]
mod tests;
mod text;

pub use encode::{EncodeError, encode_jpeg, encode_png};

use crate::picture::Picture;
use text::Font;

/// One box to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// x1, y1, x2, y2 in pixels of the picture.
    pub r#box: [f32; 4],
    /// Name of the class.
    pub label: String,
    /// Score, 0–1; written behind the label with two digits.
    pub score: f32,
    /// Class number; decides the colour.
    pub class: usize,
}

/// Colours of the classes, in turn: far apart in hue, bright enough for dark letters or dark enough for white.
const PALETTE: [[u8; 3]; 16] = [
    [230, 25, 75],
    [60, 180, 75],
    [255, 205, 25],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [70, 220, 230],
    [240, 50, 230],
    [190, 235, 60],
    [0, 128, 128],
    [250, 170, 200],
    [154, 99, 36],
    [170, 255, 195],
    [128, 0, 0],
    [128, 128, 0],
    [60, 60, 190],
];

/// Colour of a class, the same in every picture.
pub fn class_color(class: usize) -> [u8; 3] {
    PALETTE[class % PALETTE.len()]
}

/// Draws boxes in the order given, labels after all boxes so that no frame crosses a label.
pub fn annotate(picture: &mut Picture, annotations: &[Annotation]) {
    if !picture.is_consistent() {
        return;
    }
    let long = picture.width.max(picture.height) as usize;
    let thickness = (long / 320).clamp(2, 24) as i64;
    let font = Font::for_picture(long);
    let mut canvas = Canvas { picture };
    for annotation in annotations {
        if let Some(frame) = Frame::of(annotation) {
            canvas.outline(&frame, thickness, class_color(annotation.class));
        }
    }
    for annotation in annotations {
        if let Some(frame) = Frame::of(annotation) {
            canvas.label(&frame, annotation, &font);
        }
    }
}

/// A box in whole pixels, the right and lower edge excluded.
struct Frame {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Frame {
    /// `None` for coordinates that are no numbers and for boxes turned inside out.
    fn of(annotation: &Annotation) -> Option<Self> {
        let [x1, y1, x2, y2] = annotation.r#box;
        // The comparison is false for NaN; the cast saturates for infinities.
        (x1 <= x2 && y1 <= y2).then(|| {
            let edge = |value: f32| (value.round() as i64).clamp(-1_000_000, 1_000_000);
            let (left, top) = (edge(x1), edge(y1));
            Self { left, top, right: edge(x2).max(left + 1), bottom: edge(y2).max(top + 1) }
        })
    }
}

struct Canvas<'a> {
    picture: &'a mut Picture,
}

impl Canvas<'_> {
    /// The frame lies inside the box, so that a box as large as the picture is still seen.
    fn outline(&mut self, frame: &Frame, thickness: i64, color: [u8; 3]) {
        let &Frame { left, top, right, bottom } = frame;
        let inner_top = (top + thickness).min(bottom);
        let inner_bottom = (bottom - thickness).max(inner_top);
        self.fill(left, top, right, inner_top, color);
        self.fill(left, inner_bottom, right, bottom, color);
        self.fill(left, inner_top, (left + thickness).min(right), inner_bottom, color);
        self.fill((right - thickness).max(left), inner_top, right, inner_bottom, color);
    }

    /// The label sits on the box's upper edge, inside the box where there is no room above, and is moved left
    /// rather than cut where it would leave the picture.
    fn label(&mut self, frame: &Frame, annotation: &Annotation, font: &Font) {
        let text = format!("{} {:.2}", annotation.label, annotation.score);
        let margin = font.margin();
        let width = font.width(&text) + 2 * margin;
        let height = font.height();
        let left = frame.left.min(i64::from(self.picture.width) - width).max(0);
        let top = if frame.top >= height { frame.top - height } else { frame.top.max(0) };
        let color = class_color(annotation.class);
        self.fill(left, top, left + width, top + height, color);
        let ink = if luminance(color) > 140 { [0, 0, 0] } else { [255, 255, 255] };
        font.draw(&text, |x, y, coverage| self.blend(left + margin + x, top + y, ink, coverage));
    }

    fn fill(&mut self, left: i64, top: i64, right: i64, bottom: i64, color: [u8; 3]) {
        let (width, height) = (i64::from(self.picture.width), i64::from(self.picture.height));
        let (left, right) = (left.clamp(0, width) as usize, right.clamp(0, width) as usize);
        let (top, bottom) = (top.clamp(0, height) as usize, bottom.clamp(0, height) as usize);
        if left >= right {
            return;
        }
        let (pixels, _) = self.picture.rgb.as_chunks_mut::<3>();
        for y in top..bottom {
            pixels[y * width as usize..][left..right].fill(color);
        }
    }

    fn blend(&mut self, x: i64, y: i64, ink: [u8; 3], coverage: u8) {
        let (width, height) = (i64::from(self.picture.width), i64::from(self.picture.height));
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return;
        }
        let at = (y * width + x) as usize * 3;
        for (channel, ink) in self.picture.rgb[at..at + 3].iter_mut().zip(ink) {
            let (under, over) = (u32::from(*channel), u32::from(ink));
            let coverage = u32::from(coverage);
            *channel = ((under * (255 - coverage) + over * coverage + 127) / 255) as u8;
        }
    }
}

fn luminance([r, g, b]: [u8; 3]) -> u32 {
    (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) / 1000
}
