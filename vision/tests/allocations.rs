//! Memory that is made anew for each picture, after the buffers have been filled once: none of it grows with the picture.
//! JPEG and PNG; the other formats' decoders keep whole frames of their own.

use allocation_counter::measure;
use image::{ImageFormat, RgbImage};
use std::io::Cursor;
use vision::decode::{Buffers, Limits, Wanted, decode_reduced};
use vision::model::{Anchor, Channels, Filter, InputSpec, Layout, Resize};
use vision::picture::Picture;
use vision::preprocess::{Scratch, wanted, write_tensor_of};
use vision::tensor::Element;

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let scene = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x / 8) as u8, (y / 8) as u8, ((x ^ y) & 0x7f) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    scene.write_to(&mut bytes, format).expect("encoding");
    bytes.into_inner()
}

fn input(filter: Filter) -> InputSpec {
    InputSpec {
        name: "images".into(),
        width: 416,
        height: 416,
        channels: Channels::Rgb,
        layout: Layout::Nchw,
        element: Element::F32,
        resize: Resize::Letterbox { anchor: Anchor::Center, upscale: true },
        filter,
        fill: 114,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

/// Bytes that the third picture of this kind makes anew, on its whole way to a tensor.
fn made_anew(bytes: &[u8], filter: Filter, reduce: bool) -> u64 {
    let input = input(filter);
    let (mut buffers, mut scratch, mut picture) = (Buffers::default(), Scratch::new(), Picture::default());
    let mut out = vec![0; input.bytes()];
    let mut once = || {
        let wanted = |width, height| if reduce { wanted(width, height, &input) } else { Wanted::Whole };
        let extent = decode_reduced(bytes, &Limits::default(), &wanted, &mut buffers, &mut picture)
            .expect("a picture");
        write_tensor_of(&picture, &extent, &input, &mut scratch, &mut out).expect("a tensor");
    };
    once();
    once();
    measure(once).bytes_total
}

#[test]
fn nothing_is_made_anew_in_proportion_to_the_picture() {
    for filter in [Filter::Bilinear, Filter::BilinearAntialias] {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let [small, large] = [1, 4].map(|times| {
                let (width, height) = (400 * times, 300 * times);
                made_anew(&encoded(width, height, format), filter, false)
            });
            println!("{format:?} in full, {filter:?}: {small} bytes for 400 × 300, {large} for 1600 × 1200");
            // Sixteen times the pixels; rows are four times as long.
            assert!(
                large < 4 * small + 65_536 && large < 1600 * 1200 * 3 / 4,
                "{format:?}: {small}, {large}"
            );
        }
        let [small, large] = [(2000, 1500), (4000, 3000)]
            .map(|(width, height)| made_anew(&encoded(width, height, ImageFormat::Jpeg), filter, true));
        println!("JPEG reduced, {filter:?}: {small} bytes for 2000 × 1500, {large} for 4000 × 3000");
        // Tables of Huffman codes, and weights of columns and rows: of these there are twice as many.
        assert!(large < small + small / 2 && large < 4000 * 3000 * 3 / 64, "{small}, {large}");
    }
}
