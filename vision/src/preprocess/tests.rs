//! Geometry, values, layouts and the promise that every byte is written.

use super::geometry::{Plan, Target};
use super::{PreprocessError, Scratch, normalise, write_tensor};
use crate::model::{Anchor, Channels, Filter, InputSpec, Layout, Resize};
use crate::picture::Picture;
use crate::tensor::Element;
use half::f16;
use proptest::prelude::*;

const TOP_LEFT: Resize = Resize::Letterbox { anchor: Anchor::TopLeft, upscale: true };
const CENTER: Resize = Resize::Letterbox { anchor: Anchor::Center, upscale: true };

fn input(width: u32, height: u32, resize: Resize) -> InputSpec {
    InputSpec {
        name: "images".into(),
        width,
        height,
        channels: Channels::Rgb,
        layout: Layout::Nchw,
        element: Element::F32,
        resize,
        filter: Filter::Bilinear,
        fill: 114,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    }
}

fn noise(width: u32, height: u32) -> Picture {
    let mut state = 1u32;
    let rgb = (0..width * height * 3)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    Picture { width, height, rgb }
}

fn tensor(picture: &Picture, input: &InputSpec) -> Vec<u8> {
    let mut out = vec![0xee; input.bytes()];
    write_tensor(picture, input, &mut Scratch::new(), &mut out).expect("a tensor");
    out
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_ne_bytes(*chunk)).collect()
}

/// Target of a picture of the size given.
fn target(width: u32, height: u32, input: &InputSpec) -> (u32, u32, u32, u32) {
    let Target { left, top, width, height } = Plan::new(width, height, input).target;
    (left, top, width, height)
}

#[test]
fn letterboxes_round_as_the_frameworks_do() {
    let yolox = input(416, 416, TOP_LEFT);
    assert_eq!(target(416, 312, &yolox), (0, 0, 416, 312));
    assert_eq!(target(768, 576, &yolox), (0, 0, 416, 312));
    // 427 × 0.65 = 277.55 is cut off, not rounded.
    assert_eq!(target(640, 427, &yolox), (0, 0, 416, 277));
    assert_eq!(target(100, 50, &yolox), (0, 0, 416, 208));

    let ultralytics = input(640, 640, CENTER);
    assert_eq!(target(768, 576, &ultralytics), (0, 80, 640, 480));
    // 640 ÷ 810 × 1080 = 853.3 is too wide; 640 ÷ 1080 × 810 = 480.
    assert_eq!(target(810, 1080, &ultralytics), (80, 0, 480, 640));
    // 427 rows: 213 of padding, the odd one below.
    assert_eq!(target(640, 427, &ultralytics), (0, 106, 640, 427));
    assert_eq!(target(1280, 855, &ultralytics), (0, 106, 640, 428));

    let yunet = input(640, 640, Resize::Letterbox { anchor: Anchor::TopLeft, upscale: false });
    assert_eq!(target(128, 128, &yunet), (0, 0, 128, 128));
    assert_eq!(target(1000, 500, &yunet), (0, 0, 640, 320));
    assert_eq!(target(16_000, 160, &yunet), (0, 0, 640, 6));
    assert_eq!(target(16_000, 2, &yunet), (0, 0, 640, 1));
}

#[test]
fn a_letterbox_maps_back_by_its_ratio() {
    let placement = Plan::new(640, 427, &input(416, 416, TOP_LEFT)).placement;
    let (x, y) = placement.to_picture(208.0, 208.0);
    assert!((x - 320.0).abs() < 1e-3 && (y - 320.0).abs() < 1e-3, "{x} {y}");
    let placement = Plan::new(768, 576, &input(640, 640, CENTER)).placement;
    let (x, y) = placement.to_picture(0.0, 80.0);
    assert!(x.abs() < 1e-3 && y.abs() < 1e-3, "{x} {y}");
    // Padding clips to the picture's edge.
    assert_eq!(placement.box_to_picture([-5.0, 0.0, 700.0, 640.0]), [0.0, 0.0, 768.0, 576.0]);
}

#[test]
fn a_crop_takes_the_middle() {
    let squeeze = input(224, 224, Resize::CenterCrop { short: 256 });
    let plan = Plan::new(768, 576, &squeeze);
    // 256 × 768 ÷ 576 = 341.3 → 341; (341 − 224) ÷ 2 = 58, (256 − 224) ÷ 2 = 16.
    let (x, y) = plan.placement.to_picture(0.0, 0.0);
    assert!((x - 58.0 * 768.0 / 341.0).abs() < 1e-3 && (y - 16.0 * 2.25).abs() < 1e-3);
    assert_eq!(target(768, 576, &squeeze), (0, 0, 224, 224));
    // The scaled short side is below the input: the rest is padding on both sides.
    let narrow = input(224, 224, Resize::CenterCrop { short: 100 });
    assert_eq!(target(100, 400, &narrow), (62, 0, 100, 224));
}

/// Cutting before resampling must not be seen in the pixels.
#[test]
fn a_crop_equals_resizing_all_and_then_cutting() {
    let picture = noise(300, 211);
    for filter in [Filter::Bilinear, Filter::BilinearAntialias] {
        let cropped =
            InputSpec { filter, element: Element::U8, ..input(96, 96, Resize::CenterCrop { short: 128 }) };
        let whole = InputSpec { filter, element: Element::U8, ..input(182, 128, Resize::Stretch) };
        let (cut, all) = (tensor(&picture, &cropped), tensor(&picture, &whole));
        for channel in 0..3 {
            for y in 0..96 {
                for x in 0..96 {
                    let from_all = all[channel * 182 * 128 + (y + 16) * 182 + x + 43];
                    let from_cut = cut[channel * 96 * 96 + y * 96 + x];
                    assert!(from_all.abs_diff(from_cut) <= 1, "{filter:?} {x},{y}: {from_cut} {from_all}");
                }
            }
        }
    }
}

#[test]
fn a_picture_that_fits_is_not_resampled() {
    let picture = noise(32, 24);
    for resize in [TOP_LEFT, CENTER, Resize::Stretch, Resize::CenterCrop { short: 24 }] {
        let spec = InputSpec { element: Element::U8, layout: Layout::Nhwc, ..input(32, 24, resize) };
        assert_eq!(tensor(&picture, &spec), picture.rgb, "{resize:?}");
    }
    // A crop without scaling is a window.
    let spec = InputSpec {
        element: Element::U8,
        layout: Layout::Nhwc,
        ..input(10, 8, Resize::CenterCrop { short: 24 })
    };
    let window: Vec<u8> = (8..16).flat_map(|y| picture.rgb[(y * 32 + 11) * 3..][..30].to_vec()).collect();
    assert_eq!(tensor(&picture, &spec), window);
}

/// Two taps at half-pixel centres with clamped edges, worked out in floating point here.
#[test]
fn bilinear_is_opencvs() {
    let picture = noise(61, 47);
    for (width, height) in [(32, 32), (90, 100), (16, 47), (61, 20)] {
        let spec =
            InputSpec { element: Element::U8, layout: Layout::Nhwc, ..input(width, height, Resize::Stretch) };
        let resized = tensor(&picture, &spec);
        let tap = |length: u32, of: u32, at: u32| {
            let position = ((f64::from(at) + 0.5) * f64::from(of) / f64::from(length) - 0.5)
                .clamp(0.0, f64::from(of - 1));
            let low = position.floor() as u32;
            (low, (low + 1).min(of - 1), position.fract())
        };
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (x0, x1, fx) = tap(width, 61, x);
            let (y0, y1, fy) = tap(height, 47, y);
            for channel in 0..3 {
                let at = |x: u32, y: u32| f64::from(picture.rgb[((y * 61 + x) * 3 + channel) as usize]);
                let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
                let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
                let exact = top * (1.0 - fy) + bottom * fy;
                let got = f64::from(resized[((y * width + x) * 3 + channel) as usize]);
                assert!((got - exact).abs() <= 1.1, "{width}x{height} at {x},{y}: {got} for {exact}");
            }
        }
    }
}

#[test]
fn antialiasing_averages_where_bilinear_skips() {
    // Single white columns, every eighth: the two taps at 7 and 8 of 16 see none, the widened triangle sees them all.
    let rgb = (0..64 * 8).flat_map(|i| [if i % 8 == 3 { 255 } else { 0 }; 3]).collect();
    let picture = Picture { width: 64, height: 8, rgb };
    let spec = InputSpec { element: Element::U8, ..input(4, 8, Resize::Stretch) };
    assert!(tensor(&picture, &spec).iter().all(|&value| value == 0));
    let spec = InputSpec { filter: Filter::BilinearAntialias, ..spec };
    assert!(tensor(&picture, &spec).iter().all(|&value| (20..50).contains(&value)));
}

#[test]
fn values_are_normalised_as_written() {
    let picture =
        Picture { width: 256, height: 1, rgb: (0..=255).flat_map(|value| [value, 255 - value, 7]).collect() };
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let spec = InputSpec { scale: 1.0 / 255.0, mean, std, ..input(256, 1, Resize::Stretch) };
    let values = floats(&tensor(&picture, &spec));
    for (i, value) in values.iter().enumerate() {
        let (channel, x) = (i / 256, i % 256);
        let pixel = f32::from(picture.rgb[x * 3 + channel]);
        assert_eq!(*value, (pixel * spec.scale - mean[channel]) / std[channel]);
    }
    let spec = InputSpec { element: Element::F16, ..spec };
    let halves: Vec<f32> = tensor(&picture, &spec)
        .as_chunks::<2>()
        .0
        .iter()
        .map(|chunk| f16::from_ne_bytes(*chunk).to_f32())
        .collect();
    for (half, value) in halves.iter().zip(&values) {
        assert_eq!(*half, f16::from_f32(*value).to_f32());
    }
}

#[test]
fn channels_and_axes_go_where_the_input_says() {
    let picture = Picture { width: 2, height: 1, rgb: vec![10, 20, 30, 40, 50, 60] };
    let layout = |channels, layout| {
        let spec = InputSpec { channels, layout, element: Element::U8, ..input(2, 1, Resize::Stretch) };
        tensor(&picture, &spec)
    };
    assert_eq!(layout(Channels::Rgb, Layout::Nchw), [10, 40, 20, 50, 30, 60]);
    assert_eq!(layout(Channels::Bgr, Layout::Nchw), [30, 60, 20, 50, 10, 40]);
    assert_eq!(layout(Channels::Rgb, Layout::Nhwc), [10, 20, 30, 40, 50, 60]);
    assert_eq!(layout(Channels::Bgr, Layout::Nhwc), [30, 20, 10, 60, 50, 40]);
    // (299 × 10 + 587 × 20 + 114 × 30) ÷ 1000 = 18.15
    assert_eq!(layout(Channels::Gray, Layout::Nchw), [18, 48]);
    assert_eq!(layout(Channels::Gray, Layout::Nhwc), [18, 48]);
}

/// Mean and deviation belong to the tensor's channels, so BGR takes the first of them for blue.
#[test]
fn normalisation_follows_the_tensors_order() {
    let picture = Picture { width: 1, height: 1, rgb: vec![123, 116, 103] };
    let spec =
        InputSpec { channels: Channels::Bgr, mean: [103.0, 116.0, 123.0], ..input(1, 1, Resize::Stretch) };
    assert_eq!(floats(&tensor(&picture, &spec)), [0.0; 3]);
}

#[test]
fn padding_is_normalised_like_pixels() {
    let picture = Picture { width: 4, height: 2, rgb: vec![200; 24] };
    let spec = InputSpec { mean: [114.0, 14.0, 0.0], ..input(4, 4, CENTER) };
    let values = floats(&tensor(&picture, &spec));
    assert_eq!(values[..4], [0.0; 4]);
    assert_eq!(values[4..12], [86.0; 8]);
    assert_eq!(values[12..20], [0.0, 0.0, 0.0, 0.0, 100.0, 100.0, 100.0, 100.0]);
}

#[test]
fn faults_are_errors() {
    let mut scratch = Scratch::new();
    let spec = input(4, 4, Resize::Stretch);
    let picture = noise(4, 4);
    let mut out = vec![0; spec.bytes()];
    let error = write_tensor(&picture, &spec, &mut scratch, &mut out[1..]).unwrap_err();
    assert_eq!(error, PreprocessError::Length { expected: 192, found: 191 });
    let empty = Picture { width: 4, height: 4, rgb: vec![0; 3] };
    assert_eq!(write_tensor(&empty, &spec, &mut scratch, &mut out), Err(PreprocessError::EmptyPicture));
    let wide = InputSpec { element: Element::I32, ..spec.clone() };
    assert_eq!(
        write_tensor(&picture, &wide, &mut scratch, &mut out),
        Err(PreprocessError::Element(Element::I32))
    );
    let nothing = input(0, 4, Resize::Stretch);
    assert_eq!(write_tensor(&picture, &nothing, &mut scratch, &mut []), Err(PreprocessError::EmptyInput));
}

fn any_resize() -> impl Strategy<Value = Resize> {
    prop_oneof![
        Just(Resize::Stretch),
        (any::<bool>(), any::<bool>()).prop_map(|(center, upscale)| Resize::Letterbox {
            anchor: if center { Anchor::Center } else { Anchor::TopLeft },
            upscale,
        }),
        (1u32..300).prop_map(|short| Resize::CenterCrop { short }),
    ]
}

fn any_input() -> impl Strategy<Value = InputSpec> {
    let channels = prop::sample::select(vec![Channels::Rgb, Channels::Bgr, Channels::Gray]);
    let layout = prop::sample::select(vec![Layout::Nchw, Layout::Nhwc]);
    let element = prop::sample::select(vec![Element::U8, Element::F16, Element::F32]);
    let filter = prop::sample::select(vec![Filter::Bilinear, Filter::BilinearAntialias]);
    (1u32..70, 1u32..70, any_resize(), channels, layout, element, filter).prop_map(
        |(width, height, resize, channels, layout, element, filter)| InputSpec {
            channels,
            layout,
            element,
            filter,
            ..input(width, height, resize)
        },
    )
}

proptest! {
    /// Whatever was in the memory before, the result is the same: every byte is written.
    #[test]
    fn every_byte_is_written(spec in any_input(), width in 1u32..120, height in 1u32..120) {
        let picture = noise(width, height);
        let mut scratch = Scratch::new();
        let (mut first, mut second) = (vec![0x00; spec.bytes()], vec![0xff; spec.bytes()]);
        write_tensor(&picture, &spec, &mut scratch, &mut first).unwrap();
        write_tensor(&picture, &spec, &mut scratch, &mut second).unwrap();
        prop_assert_eq!(first, second);
    }

    /// There and back is the same point, and the target's middle is inside the picture.
    #[test]
    fn points_go_there_and_back(spec in any_input(), width in 1u32..5000, height in 1u32..5000, x in 0f32..1.0, y in 0f32..1.0) {
        let plan = Plan::new(width, height, &spec);
        let (x, y) = (x * width as f32, y * height as f32);
        let crate::preprocess::Placement { scale_x, scale_y, offset_x, offset_y, .. } = plan.placement;
        let (u, v) = ((x - offset_x) / scale_x, (y - offset_y) / scale_y);
        let (back_x, back_y) = plan.placement.to_picture(u, v);
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-3 * (1.0 + a.abs().max(width.max(height) as f32));
        prop_assert!(near(x, back_x) && near(y, back_y), "{x} {y} → {back_x} {back_y}");
    }

    /// The source lies in the picture and the target in the input.
    #[test]
    fn plans_stay_inside(spec in any_input(), width in 1u32..20_000, height in 1u32..20_000) {
        let plan = Plan::new(width, height, &spec);
        prop_assert!(plan.source.left >= 0.0 && plan.source.left + plan.source.width <= f64::from(width));
        prop_assert!(plan.source.top >= 0.0 && plan.source.top + plan.source.height <= f64::from(height));
        prop_assert!(plan.source.width > 0.0 && plan.source.height > 0.0);
        prop_assert!(plan.target.width > 0 && plan.target.left + plan.target.width <= spec.width);
        prop_assert!(plan.target.height > 0 && plan.target.top + plan.target.height <= spec.height);
    }
}

/// In every layout, with and without a shift.
#[test]
fn pixels_that_are_normalised_later_are_the_same_numbers() {
    let picture = noise(50, 31);
    for channels in [Channels::Rgb, Channels::Bgr, Channels::Gray] {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for (scale, mean, std) in [
                (1.0, [0.0; 3], [1.0; 3]),
                (1.0 / 255.0, [0.0; 3], [1.0; 3]),
                (1.0 / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ] {
                let input = InputSpec { channels, layout, scale, mean, std, ..input(37, 29, CENTER) };
                let mut scratch = Scratch::new();
                let (mut at_once, mut pixels) = (vec![1; input.bytes()], vec![2; input.pixels().bytes()]);
                let placed = write_tensor(&picture, &input, &mut scratch, &mut at_once).expect("a tensor");
                let same =
                    write_tensor(&picture, &input.pixels(), &mut scratch, &mut pixels).expect("pixels");
                assert_eq!(placed, same);
                // Two images, as in a batch.
                let (twice, mut later) = (pixels.repeat(2), vec![3; 2 * input.bytes()]);
                normalise(&twice, &input, &mut later);
                assert!(later == at_once.repeat(2), "{channels:?} {layout:?} {mean:?}");
            }
        }
    }
}
