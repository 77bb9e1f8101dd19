//! A decoded picture. Owns the pixel buffer and its shape; how it came to be is `decode`'s business.

/// A picture as a person sees it: RGB, 8 bits a channel, EXIF orientation applied, rows without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes, row by row, R G B.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// Number of pixels.
    pub const fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Whether `rgb` has the length that width and height call for, and there is a pixel at all.
    pub const fn is_consistent(&self) -> bool {
        self.pixels() > 0 && self.rgb.len() == self.pixels() * 3
    }

    /// Empties the picture; its buffer keeps its room.
    pub fn clear(&mut self) {
        (self.width, self.height) = (0, 0);
        self.rgb.clear();
    }

    /// Makes it a picture of no size, for its buffer to be used again, and gives back memory above `keep` bytes, so that one huge
    /// upload does not stay resident. `rgb` still holds the old pixels, since filling it with zeros takes a twentieth of what decoding
    /// takes: whoever fills the picture next overwrites or empties it.
    pub fn recycle(&mut self, keep: usize) {
        (self.width, self.height) = (0, 0);
        self.rgb.truncate(keep);
        self.rgb.shrink_to(keep);
    }
}
