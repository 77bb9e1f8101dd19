//! Every byte against `zune-jpeg`'s, for pictures and for blocks of random numbers; and no byte where anything is wrong with a file.

use super::*;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, GrayImage, RgbImage};
use proptest::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// With headers that `zune-jpeg` has no objection to, as they are when this decoder is asked.
fn headers(bytes: &[u8]) -> Option<JpegDecoder<ZCursor<&[u8]>>> {
    let options = DecoderOptions::default().set_strict_mode(false).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    Some(decoder)
}

fn ours(bytes: &[u8]) -> Option<Picture> {
    headers(bytes)?;
    // What is in it already must not be seen again.
    let mut picture = Picture { width: 0, height: 0, rgb: vec![77; 5000] };
    // For a small file alone no tables are made; the second time they are.
    decode(bytes, &mut picture).or_else(|| decode(bytes, &mut picture)).map(|()| picture)
}

fn theirs(bytes: &[u8]) -> Option<Picture> {
    let mut decoder = headers(bytes)?;
    let rgb = decoder.decode().ok()?;
    let (width, height) = decoder.dimensions()?;
    Some(Picture { width: width as u32, height: height as u32, rgb })
}

/// Smooth, with edges, and noise in a part of it.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let edge = if x * 3 > y * 2 + 10 { 60 } else { 0 };
        let noise = if y % 32 < 12 { (x * 7919 + y * 104_729) % 97 } else { 0 };
        image::Rgb([(x * 3) as u8 ^ noise as u8, (y * 5 + edge) as u8, (40 + edge * 2 + noise) as u8])
    })
}

fn encoded(width: u32, height: u32, quality: u8, is_grey: bool) -> Vec<u8> {
    let (rgb, mut out) = (scene(width, height), Vec::new());
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality);
    if is_grey {
        let grey = GrayImage::from_fn(width, height, |x, y| image::Luma([rgb[(x, y)].0[1]]));
        encoder.encode(&grey, width, height, ExtendedColorType::L8).expect("encoding");
    } else {
        encoder.encode(&rgb, width, height, ExtendedColorType::Rgb8).expect("encoding");
    }
    out
}

#[test]
fn pictures_are_the_same_to_the_byte() {
    for side in 1..=70 {
        let (width, height) = (side, side * 37 % 71);
        for quality in [10, 30, 50, 75, 90, 100] {
            for is_grey in [false, true] {
                let bytes = encoded(width, height, quality, is_grey);
                assert!(ours(&bytes).is_some(), "{width} × {height} at {quality}: not decoded");
                assert!(ours(&bytes) == theirs(&bytes), "{width} × {height} at {quality}, grey: {is_grey}");
            }
        }
    }
}

#[test]
fn tables_are_made_for_large_files_and_for_common_ones() {
    let (small, large) = (encoded(40, 30, 75, false), encoded(400, 300, 90, false));
    assert!(small.len() < WORTH_TABLES && large.len() >= WORTH_TABLES);
    let decode = |bytes: &[u8]| decode(bytes, &mut Picture::default()).is_some();
    assert!(!decode(&small) && decode(&small) && decode(&large));
    std::thread::spawn(move || assert!(decode(&large) && decode(&small))).join().expect("both decoded");
}

/// A JPEG of random blocks.
#[derive(Clone, Debug)]
struct Sketch {
    width: u16,
    height: u16,
    /// Blocks of luma in a unit, or one plane alone.
    factors: Option<(u8, u8)>,
    /// Greatest step of the quantisation; above 255 tables are of 16 bits.
    step: u16,
    /// Bits of a coefficient, and how many of 64 there are about.
    bits: u32,
    density: u32,
    restart: u16,
    seed: u64,
}

/// Symbols with their codes.
struct Codes {
    segment: Vec<u8>,
    codes: Vec<(u32, u32)>,
}

impl Codes {
    /// As many codes of each length as the standard's tables have, for symbols in random order.
    fn new(place: u8, counts: [u8; 16], mut symbols: Vec<u8>, random: &mut Random) -> Self {
        for k in (1..symbols.len()).rev() {
            symbols.swap(k, random.below(k as u64 + 1) as usize);
        }
        let (mut codes, mut code, mut rest) = (vec![(0, 0); 256], 0, symbols.iter());
        for (count, length) in counts.into_iter().zip(1..) {
            for symbol in rest.by_ref().take(count.into()) {
                codes[usize::from(*symbol)] = (code, length);
                code += 1;
            }
            code <<= 1;
        }
        Self { segment: [&[place], counts.as_slice(), &symbols].concat(), codes }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// Entropy-coded data in the making.
#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
    held: u64,
    have: u32,
}

impl Data {
    fn put(&mut self, (bits, count): (u32, u32)) {
        self.held = self.held << count | u64::from(bits);
        self.have += count;
        while self.have >= 8 {
            self.have -= 8;
            let byte = (self.held >> self.have) as u8;
            self.bytes.push(byte);
            self.bytes.extend((byte == 0xff).then_some(0));
        }
    }

    fn value(&mut self, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let bits = if value < 0 { value - 1 } else { value } as u32;
        self.put((bits & ((1 << size) - 1), size));
    }

    fn finish(&mut self) {
        if self.have > 0 {
            self.put(((1 << (8 - self.have)) - 1, 8 - self.have));
        }
    }
}

impl Sketch {
    fn bytes(&self) -> Vec<u8> {
        let mut random = Random(self.seed | 1);
        let mut out = vec![0xff, 0xd8];
        let mut segment = |marker: u8, body: &[u8]| {
            out.extend([0xff, marker]);
            out.extend((body.len() as u16 + 2).to_be_bytes());
            out.extend(body);
        };
        for table in 0..2 {
            let steps = (0..64).map(|_| 1 + random.below(self.step.into()) as u16);
            let body: Vec<u8> = if self.step > 255 {
                [0x10 | table].into_iter().chain(steps.flat_map(u16::to_be_bytes)).collect()
            } else {
                [table].into_iter().chain(steps.map(|step| step as u8)).collect()
            };
            segment(0xdb, &body);
        }
        let (h, v) = self.factors.unwrap_or((1, 1));
        let planes = [[1, h << 4 | v, 0], [2, 0x11, 1], [3, 0x11, 1]];
        let planes = if self.factors.is_some() { planes.as_slice() } else { &planes[..1] };
        let [h1, h0, w1, w0] = [self.height.to_be_bytes(), self.width.to_be_bytes()].concat()[..] else {
            unreachable!()
        };
        segment(0xc0, &[&[8, h1, h0, w1, w0, planes.len() as u8], planes.as_flattened()].concat());
        let dc_counts = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        let ac_counts = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
        let ac_symbols = || {
            (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size)).chain([0x00, 0xf0]).collect()
        };
        let dc = [0, 1].map(|table| Codes::new(table, dc_counts, (0..12).collect(), &mut random));
        let ac = [0x10, 0x11].map(|table| Codes::new(table, ac_counts, ac_symbols(), &mut random));
        dc.iter().chain(&ac).for_each(|codes| segment(0xc4, &codes.segment));
        segment(0xdd, &self.restart.to_be_bytes());
        let takes_part = planes.iter().flat_map(|[id, _, table]| [*id, table * 0x11]).collect::<Vec<u8>>();
        segment(SCAN, &[&[planes.len() as u8], takes_part.as_slice(), &[0, 63, 0]].concat());

        let (across, down) = (self.width.div_ceil(8 * u16::from(h)), self.height.div_ceil(8 * u16::from(v)));
        let (mut data, mut means) = (Data::default(), [0; 3]);
        for unit in 0..u32::from(across) * u32::from(down) {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart.into()) {
                data.finish();
                data.bytes.extend([0xff, 0xd0 + (unit / u32::from(self.restart) - 1) as u8 % 8]);
                means = [0; 3];
            }
            for ([_, factors, table], mean) in planes.iter().zip(&mut means) {
                for _ in 0..(factors >> 4) * (factors & 15) {
                    let next = random.below(2 << self.bits) as i32 - (1 << self.bits);
                    self.block(
                        &mut data,
                        next - *mean,
                        (&dc[usize::from(*table)], &ac[usize::from(*table)]),
                        &mut random,
                    );
                    *mean = next;
                }
            }
        }
        data.finish();
        out.extend(data.bytes);
        out.extend([0xff, END]);
        out
    }

    fn block(&self, data: &mut Data, difference: i32, (dc, ac): (&Codes, &Codes), random: &mut Random) {
        let size = |value: i32| 32 - value.unsigned_abs().leading_zeros();
        data.put(dc.codes[size(difference) as usize]);
        data.value(difference);
        // Many have few, as they do in pictures.
        let end = if random.below(2) == 0 { random.below(12) } else { 64 };
        let mut zeros = 0;
        for k in 1..64 {
            let bits = 1 + random.below(self.bits.into());
            let value = random.below(2 << bits) as i32 - (1 << bits);
            if k > end || value == 0 || random.below(64) >= self.density.into() {
                zeros += 1;
                continue;
            }
            let value = value.clamp(-1023, 1023);
            while zeros > 15 {
                data.put(ac.codes[0xf0]);
                zeros -= 16;
            }
            data.put(ac.codes[zeros << 4 | size(value) as usize]);
            data.value(value);
            zeros = 0;
        }
        if zeros > 0 {
            // No encoder does so, but it may.
            while zeros > 16 && random.below(4) == 0 {
                data.put(ac.codes[0xf0]);
                zeros -= 16;
            }
            data.put(ac.codes[0x00]);
        }
    }
}

fn sketches() -> impl Strategy<Value = Sketch> {
    let factors = prop_oneof![Just(None), (1u8..=2, 1u8..=2).prop_map(Some)];
    // Within what the transform is made for, and far beyond.
    let amplitude = prop_oneof![(1u16..=16, 1u32..=6), (1u16..=255, 1u32..=10), (256u16..=32_767, 1u32..=10)];
    // Wide ones now and then: what is done sixteen or more samples at a time is done often there.
    let width = prop_oneof![8 => 1u16..=70, 1 => 200u16..=600];
    (width, 1u16..=70, factors, amplitude, 0u32..=64, 0u16..=7, any::<u64>()).prop_map(
        |(width, height, factors, (step, bits), density, restart, seed)| Sketch {
            width,
            height,
            factors,
            step,
            bits,
            density,
            restart,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_blocks_are_the_same_to_the_byte(sketch in sketches()) {
        let bytes = sketch.bytes();
        let ours = ours(&bytes);
        prop_assert!(ours.is_some(), "not decoded");
        prop_assert!(ours == theirs(&bytes), "decoded differently");
    }

    /// Wherever a byte is another one, missing or too many, there is the same picture or none.
    #[test]
    fn what_is_damaged_is_the_same_or_left(sketch in sketches(), at in any::<prop::sample::Index>(), byte in any::<u8>(), length in 0usize..3) {
        let mut bytes = sketch.bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + length).min(bytes.len()), [byte]);
        if let Some(ours) = ours(&bytes) {
            prop_assert!(Some(ours) == theirs(&bytes), "decoded differently, damaged at {}", at);
        }
    }
}

/// A segment that `zune-jpeg` reads in its own way.
#[test]
fn a_header_that_is_read_differently_is_left() {
    let plain = encoded(400, 300, 90, false);
    let with = |length: u8| {
        let segment = [&[0xff, 0xe0, 0, length][..], &vec![b'x'; usize::from(length) - 2]].concat();
        [&plain[..2], &segment, &plain[2..]].concat()
    };
    assert!(ours(&with(6)).is_none());
    for length in [5, 7, 20] {
        let ours = ours(&with(length));
        assert!(ours.is_none() || ours == theirs(&with(length)), "{length}");
    }
    assert!(ours(&with(20)).is_some());
}

/// The files of the test data: photographs, every way of sampling, restarts, EXIF of every kind.
#[test]
fn real_files_are_the_same_to_the_byte() {
    let Some(folder) = crate::decode::tests::data("real_files_are_the_same_to_the_byte") else { return };
    let (mut same, mut left) = (0, 0);
    for part in ["photos", "variants", "exif", "formats", "coco_train2017"] {
        let Ok(entries) = std::fs::read_dir(folder.join("images").join(part)) else { continue };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if !path.extension().is_some_and(|end| end == "jpg" || end == "jpeg") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("test picture");
            let Some(ours) = ours(&bytes) else {
                println!("left: {}", path.display());
                left += 1;
                continue;
            };
            assert!(Some(ours) == theirs(&bytes), "{}", path.display());
            same += 1;
        }
    }
    println!("{same} are the same, {left} were left");
    assert!(same > 3 * left, "{same} are the same, {left} were left");
}
