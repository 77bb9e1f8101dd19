//! Letters, from the rasters of Noto Sans Mono that a crate embeds (SIL Open Font License). Owns the choice of
//! size and the advance from letter to letter; the caller puts ink on pixels.
//!
//! Letters above the largest raster are whole multiples of it, so edges stay crisp.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Longest text that is drawn, in letters; a label beyond it says more than a picture can show.
const LONGEST: usize = 80;

/// A raster size and the whole number it is multiplied by.
pub(super) struct Font {
    raster: RasterHeight,
    zoom: usize,
}

impl Font {
    /// The size for a picture whose long side has `long` pixels: about a fortieth of it, never under 16 px.
    pub fn for_picture(long: usize) -> Self {
        let (raster, zoom) = match long / 40 {
            0..24 => (RasterHeight::Size16, 1),
            24..32 => (RasterHeight::Size24, 1),
            height => (RasterHeight::Size32, (height / 32).min(16)),
        };
        Self { raster, zoom }
    }

    /// Height of a line in pixels.
    pub fn height(&self) -> i64 {
        (self.raster.val() * self.zoom) as i64
    }

    /// Space left and right of a text on a coloured ground.
    pub fn margin(&self) -> i64 {
        self.height() / 6
    }

    /// Width of `text` in pixels.
    pub fn width(&self, text: &str) -> i64 {
        (text.chars().take(LONGEST).count() * self.advance()) as i64
    }

    /// Calls `ink` with column, row and coverage (0–255) of every pixel that a letter of `text` touches.
    pub fn draw(&self, text: &str, mut ink: impl FnMut(i64, i64, u8)) {
        for (position, letter) in text.chars().take(LONGEST).enumerate() {
            let raster = get_raster(letter, FontWeight::Bold, self.raster)
                .or_else(|| get_raster('\u{fffd}', FontWeight::Bold, self.raster));
            for (y, row) in raster.iter().flat_map(|raster| raster.rows().enumerate()) {
                for (x, coverage) in row.iter().enumerate().filter(|(_, coverage)| **coverage > 0) {
                    for (down, across) in (0..self.zoom).flat_map(|d| (0..self.zoom).map(move |a| (d, a))) {
                        let column = position * self.advance() + x * self.zoom + across;
                        ink(column as i64, (y * self.zoom + down) as i64, *coverage);
                    }
                }
            }
        }
    }

    fn advance(&self) -> usize {
        get_raster_width(FontWeight::Bold, self.raster) * self.zoom
    }
}
