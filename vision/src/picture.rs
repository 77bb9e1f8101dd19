//! A decoded picture. Owns the pixel buffer and its shape; how it came to be is `decode`'s business.

/// A picture as a person sees it: RGB, 8 bits a channel, EXIF orientation applied, rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 3` bytes, row by row, R G B.
    pub rgb: Vec<u8>,
}
