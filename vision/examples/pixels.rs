//! Times of the pixel path, for development: `cargo run --release -p vision --example pixels [PICTURE...]`.
//!
//! Prints decode and tensor times (best of several rounds, which is what a change is compared by) for the given
//! pictures or, without arguments, for two photos of the test data. With `--annotate OUT.png PICTURE` it draws
//! sample boxes instead, to be looked at. With `--serve` it reads pictures' names and answers each with the milliseconds of
//! decoding and writing a tensor of 416 × 416, in full and reduced; `scripts/compare-opencv` drives that.

use std::time::{Duration, Instant};
use vision::decode::{Buffers, Limits, decode, decode_into, decode_reduced};
use vision::draw::{Annotation, annotate, encode_png};
use vision::model::{Anchor, Channels, Filter, InputSpec, Layout, Resize};
use vision::picture::Picture;
use vision::preprocess::{Scratch, wanted, write_tensor, write_tensor_of};
use vision::tensor::Element;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, out, picture] = arguments.as_slice()
        && flag == "--annotate"
    {
        return draw_sample(picture, out);
    }
    if arguments == ["--serve"] {
        return serve();
    }
    let data = std::env::var("DETECTD_DATA").unwrap_or_else(|_| "../shared/data".into());
    let pictures = if arguments.is_empty() {
        ["dog.jpg", "dog_party_12mp_exif6.jpg"].map(|name| format!("{data}/images/photos/{name}")).to_vec()
    } else {
        arguments
    };
    for path in pictures {
        measure(&path)?;
    }
    Ok(())
}

fn measure(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let limits = Limits::default();
    let mut picture = Picture::default();
    decode_into(&bytes, &limits, &mut picture)?;
    println!("{path}: {} × {}", picture.width, picture.height);

    let rounds = if picture.pixels() > 4_000_000 { 10 } else { 50 };
    let fresh = best(rounds, || decode(&bytes, &limits).map(drop).expect("decoded before"));
    let reused = best(rounds, || decode_into(&bytes, &limits, &mut picture).expect("decoded before"));
    println!("  decode                         {fresh:>10.2?}   into a kept buffer {reused:.2?}");

    let mut scratch = Scratch::new();
    for side in [416, 640] {
        for (filter, element, layout) in [
            (Filter::Bilinear, Element::F32, Layout::Nchw),
            (Filter::BilinearAntialias, Element::F32, Layout::Nchw),
            (Filter::Bilinear, Element::F16, Layout::Nchw),
            (Filter::Bilinear, Element::U8, Layout::Nhwc),
        ] {
            let input = input(side, filter, element, layout);
            let mut out = vec![0; input.bytes()];
            let time = best(rounds, || {
                write_tensor(&picture, &input, &mut scratch, &mut out).map(drop).expect("a good input");
            });
            println!("  {side} {filter:?} {element:?} {layout:?}: {time:.2?}");
        }
    }
    Ok(())
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let input = input(416, Filter::Bilinear, Element::F32, Layout::Nchw);
    let (limits, mut scratch, mut buffers) = (Limits::default(), Scratch::new(), Buffers::default());
    let (mut picture, mut out) = (Picture::default(), vec![0; input.bytes()]);
    for path in std::io::stdin().lines() {
        let bytes = std::fs::read(path?)?;
        let begin = Instant::now();
        decode_into(&bytes, &limits, &mut picture)?;
        write_tensor(&picture, &input, &mut scratch, &mut out)?;
        let full = begin.elapsed();
        let begin = Instant::now();
        let wanted = |width, height| wanted(width, height, &input);
        let extent = decode_reduced(&bytes, &limits, &wanted, &mut buffers, &mut picture)?;
        write_tensor_of(&picture, &extent, &input, &mut scratch, &mut out)?;
        let reduced = begin.elapsed();
        println!("[{}, {}]", full.as_secs_f64() * 1e3, reduced.as_secs_f64() * 1e3);
    }
    Ok(())
}

fn input(side: u32, filter: Filter, element: Element, layout: Layout) -> InputSpec {
    InputSpec {
        name: "images".into(),
        width: side,
        height: side,
        channels: Channels::Rgb,
        layout,
        element,
        resize: Resize::Letterbox { anchor: Anchor::Center, upscale: true },
        filter,
        fill: 114,
        scale: 1.0 / 255.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

fn best(rounds: usize, mut run: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap_or_default()
}

fn draw_sample(path: &str, out: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut picture = decode(&std::fs::read(path)?, &Limits::default())?;
    let (width, height) = (picture.width as f32, picture.height as f32);
    let sample = |[x1, y1, x2, y2]: [f32; 4], label: &str, score, class| Annotation {
        r#box: [x1 * width, y1 * height, x2 * width, y2 * height],
        label: label.into(),
        score,
        class,
    };
    annotate(
        &mut picture,
        &[
            sample([0.17, 0.36, 0.42, 0.94], "dog", 0.86, 16),
            sample([0.07, 0.24, 0.75, 0.74], "bicycle", 0.80, 1),
            sample([0.61, 0.13, 0.9, 0.3], "car", 0.8, 2),
            sample([0.0, 0.0, 0.2, 0.2], "top left, Größe", 0.31, 3),
            sample([0.95, 0.8, 1.0, 1.0], "at the edge", 0.999, 4),
        ],
    );
    std::fs::write(out, encode_png(&picture)?)?;
    Ok(())
}
