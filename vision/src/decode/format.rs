//! Which format a file is in, by its first bytes. Owns the list of what is decoded and the list of what is
//! recognised only to be refused by name.

/// A format that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// PNG: all colour types and depths, interlaced too.
    Png,
    /// WebP: lossy and lossless; the first frame of an animation.
    WebP,
    /// GIF: the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF: the first page.
    Tiff,
    /// PBM, PGM, PPM, PAM.
    Pnm,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Bmp, Self::Tiff, Self::Pnm];

    /// Usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The format these bytes start like, when it is one that is decoded.
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    Some(match bytes {
        [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Format::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        // The word at 14 is the size of a second header; it keeps texts that begin with BM out.
        [b'B', b'M', _, _, _, _, _, _, _, _, _, _, _, _, 12..=124, 0, 0, 0, ..] => Format::Bmp,
        // 42 is TIFF, 43 BigTIFF.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        [b'P', b'1'..=b'7', b'\n' | b'\r' | b' ' | b'\t' | b'#', ..] => Format::Pnm,
        _ => return None,
    })
}

/// Name of an image format that these bytes start like and that is not decoded here.
pub(super) fn sniff_foreign(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.first_chunk::<4>()? {
            b"avif" | b"avis" => "AVIF",
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => "HEIF",
            b"crx " => "Canon raw",
            _ => return None,
        },
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0d, 0x0a, 0x87, 0x0a, ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            "JPEG 2000"
        }
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xff, 0x0a, ..] => "JPEG XL",
        [0, 0, 1 | 2, 0, count, ..] if *count > 0 => "ICO",
        [b'8', b'B', b'P', b'S', ..] => "Photoshop",
        [b'q', b'o', b'i', b'f', ..] => "QOI",
        [b'D', b'D', b'S', b' ', ..] => "DDS",
        [0x76, 0x2f, 0x31, 0x01, ..] => "OpenEXR",
        [b'#', b'?', b'R' | b'r', ..] => "Radiance HDR",
        [b'P', b'f' | b'F', b'\n' | b'\r' | b' ', ..] => "PFM",
        [b'%', b'P', b'D', b'F', b'-', ..] => "PDF",
        _ if is_svg(bytes) => "SVG",
        _ => return None,
    })
}

/// An `<svg` element opens within the first kilobyte of something that starts like XML.
fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    start.starts_with(b"<svg")
        || ((start.starts_with(b"<?xml") || start.starts_with(b"<!"))
            && memchr::memmem::find(start, b"<svg").is_some())
}
