//! What a picture costs on its way: decoding, letterboxing into a tensor, reading outputs, suppression.
//!
//! `cargo bench -p vision` prints the times; nothing is asserted, since a time is no property of the code alone.

use divan::{Bencher, black_box};
use vision::decode::{Limits, decode_into};
use vision::model::{
    Anchor, Channels, Decoder, Filter, InputSpec, Layout, ModelSpec, RawModel, Resize, Sidecar, Task,
};
use vision::picture::Picture;
use vision::postprocess::{Options, detections};
use vision::preprocess::{Placement, Scratch, normalise, write_tensor};
use vision::tensor::{Element, TensorInfo, TensorView};

/// A photograph of the repository.
const SAMPLE: &[u8] = include_bytes!("../../docs/sample.jpg");
const SIDE: u32 = 416;
const CLASSES: usize = 80;

fn main() {
    divan::main();
}

fn picture() -> Picture {
    let mut picture = Picture::default();
    decode_into(SAMPLE, &Limits::default(), &mut picture).expect("the sample");
    picture
}

fn input(element: Element, layout: Layout) -> InputSpec {
    InputSpec {
        name: "images".into(),
        width: SIDE,
        height: SIDE,
        channels: Channels::Bgr,
        layout,
        element,
        resize: Resize::Letterbox { anchor: Anchor::TopLeft, upscale: true },
        filter: Filter::Bilinear,
        fill: 114,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

#[divan::bench]
fn decode_jpeg(bencher: Bencher) {
    let mut kept = picture();
    bencher.bench_local(|| decode_into(black_box(SAMPLE), &Limits::default(), &mut kept));
}

#[divan::bench(args = ["f32 planes", "f16 planes", "u8 planes", "u8 interleaved"])]
fn letterbox(bencher: Bencher, kind: &str) {
    let input = match kind {
        "f32 planes" => input(Element::F32, Layout::Nchw),
        "f16 planes" => input(Element::F16, Layout::Nchw),
        "u8 planes" => input(Element::U8, Layout::Nchw),
        _ => input(Element::U8, Layout::Nhwc),
    };
    let (picture, mut scratch, mut out) = (picture(), Scratch::new(), vec![0; input.bytes()]);
    bencher.bench_local(|| write_tensor(black_box(&picture), &input, &mut scratch, &mut out));
}

/// Pixels to numbers, as a lane makes them.
#[divan::bench(args = [false, true])]
fn numbers(bencher: Bencher, shifted: bool) {
    let mut input = input(Element::F32, Layout::Nchw);
    if shifted {
        (input.mean, input.std) = ([0.5; 3], [0.25; 3]);
    }
    let (pixels, mut out) = (vec![7; input.pixels().bytes()], vec![0; input.bytes()]);
    bencher.bench_local(|| normalise(black_box(&pixels), &input, &mut out));
}

/// A picture much smaller than the input.
#[divan::bench]
fn letterbox_64(bencher: Bencher) {
    let input = input(Element::F32, Layout::Nchw);
    let rgb = picture().rgb[..64 * 64 * 3].to_vec();
    let (picture, mut scratch, mut out) =
        (Picture { width: 64, height: 64, rgb }, Scratch::new(), vec![0; input.bytes()]);
    bencher.bench_local(|| write_tensor(black_box(&picture), &input, &mut scratch, &mut out));
}

/// YOLOX's outputs at 416: one row a cell of three grids, of which `found` are above the threshold, each on a box of its
/// own or all on few, so that suppression has to look at them.
#[divan::bench(args = [0, 10, 100, 1000])]
fn read_yolox_and_suppress(bencher: Bencher, found: usize) {
    let rows: usize = [8, 16, 32].iter().map(|stride| (SIDE as usize / stride).pow(2)).sum();
    let columns = 5 + CLASSES;
    let mut numbers = vec![0f32; rows * columns];
    for k in 0..found {
        let row = &mut numbers[k * rows / found.max(1) * columns..][..columns];
        (row[4], row[5 + k % 3]) = (0.9, 0.5 + k as f32 / (2 * found) as f32);
        (row[2], row[3]) = (2.0, 2.0);
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let tensor = |name: &str, shape: &[i64]| TensorInfo {
        name: name.into(),
        element: Element::F32,
        shape: shape.to_vec(),
    };
    let raw = RawModel {
        inputs: vec![tensor("images", &[1, 3, SIDE.into(), SIDE.into()])],
        outputs: vec![tensor("output", &[1, rows as i64, columns as i64])],
        metadata: Default::default(),
    };
    let sidecar = Sidecar::parse("[decoder]\nfamily = \"yolox\"").expect("a sidecar");
    let spec = ModelSpec::resolve("yolox", &raw, Some(&sidecar), None).expect("a model");
    assert!(matches!((spec.task, &spec.decoder), (Task::Detect, Decoder::Yolox { .. })));
    let side = SIDE as f32;
    let placement =
        Placement { scale_x: 1.0, scale_y: 1.0, offset_x: 0.0, offset_y: 0.0, width: SIDE, height: SIDE };
    let (shape, options) = ([rows, columns], Options::of(&spec));
    let views = [TensorView { element: Element::F32, shape: &shape, bytes: &bytes }];
    let kept = detections(&spec, &views, &placement, &options).expect("outputs that fit");
    assert!(kept.len() <= found && kept.iter().all(|kept| kept.bbox[2] <= side), "{}", kept.len());
    bencher.bench_local(|| detections(&spec, black_box(&views), &placement, &options));
}
