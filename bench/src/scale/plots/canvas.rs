//! Pixels to draw on, with letters that need no font of the machine: the rasters of Noto Sans Mono that a crate embeds.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::prelude::BitMapBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

const RASTER: RasterHeight = RasterHeight::Size16;
const WEIGHT: FontWeight = FontWeight::Regular;

/// A bitmap in memory, three bytes a pixel.
pub struct Canvas<'a>(BitMapBackend<'a>);

impl<'a> Canvas<'a> {
    /// Over these bytes.
    pub fn over(rgb: &'a mut [u8], size: (u32, u32)) -> Self {
        Self(BitMapBackend::with_buffer(rgb, size))
    }
}

fn size(text: &str) -> (i32, i32) {
    let columns = text.chars().count() * get_raster_width(WEIGHT, RASTER);
    (columns as i32, RASTER.val() as i32)
}

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> DrawingBackend for Canvas<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.0.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn<'a> {
        self.0.draw_pixel(point, color)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        self.0.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, at: BackendCoord) -> Drawn<'a> {
        let (width, height) = size(text);
        let (limit_x, limit_y) = self.get_size();
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Right => -width,
            HPos::Center => -width / 2,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let color = style.color();
        for (index, letter) in text.chars().enumerate() {
            let Some(raster) = get_raster(letter, WEIGHT, RASTER).or_else(|| get_raster('?', WEIGHT, RASTER))
            else {
                continue;
            };
            for (row, line) in raster.rows().enumerate() {
                for (column, &ink) in line.iter().enumerate().filter(|(_, ink)| **ink > 0) {
                    let x = left + (index * raster.width() + column) as i32;
                    let (x, y) = style.transform().transform(x, top + row as i32);
                    let (x, y) = (at.0 + x, at.1 + y);
                    if (0..limit_x as i32).contains(&x) && (0..limit_y as i32).contains(&y) {
                        let alpha = color.alpha * f64::from(ink) / 255.0;
                        self.0.draw_pixel((x, y), BackendColor { alpha, rgb: color.rgb })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        _: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        let (width, height) = size(text);
        Ok((width as u32, height as u32))
    }
}
