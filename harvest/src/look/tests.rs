use super::*;
use crate::testing::noise;

fn made(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    let rgb =
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    Picture { width, height, rgb }
}

fn flags(picture: &Picture) -> Vec<&'static str> {
    flag_names(Look::of(picture).flags(picture.width, picture.height))
}

#[test]
fn what_is_odd_is_said() {
    let texture = |x: u32, y: u32| [(x * 37 % 251) as u8, (y * 53 % 241) as u8, ((x ^ y) % 256) as u8];
    assert_eq!(flags(&made(320, 240, texture)), Vec::<&str>::new());
    assert!(flags(&made(320, 240, |x, y| texture(x, y).map(|v| v / 16))).contains(&"dark"));
    assert!(flags(&made(320, 240, |x, y| texture(x, y).map(|v| 250 + v / 64))).contains(&"light"));
    assert!(flags(&made(320, 240, |_, _| [90, 120, 60])).contains(&"low_information"));
    assert!(flags(&made(320, 240, |x, y| [((x * y) % 256) as u8; 3])).contains(&"grayscale"));
    assert!(flags(&made(400, 100, texture)).contains(&"odd_aspect_ratio"));
    assert!(flags(&made(40, 40, texture)).contains(&"odd_size"));
    // The same scene with soft edges and with hard ones.
    let soft =
        made(640, 480, |x, y| [((f64::from(x) / 60.0).sin() * 100.0 + 128.0) as u8, (y / 3) as u8, 90]);
    assert!(flags(&soft).contains(&"blurry"), "{:?}", Look::of(&soft));
    let hard =
        made(
            640,
            480,
            |x, y| if (x / 24 + y / 24) % 2 == 0 { [230, 200, 40] } else { [20, 60, (y / 3) as u8] },
        );
    assert!(!flags(&hard).contains(&"blurry"), "{:?}", Look::of(&hard));
}

#[test]
fn names_and_bits_are_one() {
    for (bit, name) in FLAGS.iter().enumerate() {
        assert_eq!(flags_of([*name]), 1 << bit);
        assert_eq!(flag_names(1 << bit), [*name]);
    }
    assert_eq!(flags_of(["no such flag"]), 0);
}

#[test]
fn a_smaller_copy_looks_alike_and_another_picture_does_not() {
    let distance = |a: &Picture, b: &Picture| (Look::of(a).hash ^ Look::of(b).hash).count_ones();
    let picture = noise(1);
    let half = made(48, 36, |x, y| {
        let at = (y as usize * 2 * 96 + x as usize * 2) * 3;
        [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
    });
    let brighter =
        Picture { rgb: picture.rgb.iter().map(|v| v.saturating_add(8)).collect(), ..picture.clone() };
    assert!(distance(&picture, &half) <= 3, "{}", distance(&picture, &half));
    assert!(distance(&picture, &brighter) <= 3);
    for seed in 2..40 {
        assert!(distance(&picture, &noise(seed)) > 8, "{seed}");
    }
    // Pictures in which there is nothing to see are not the same picture.
    assert_eq!(Look::of(&made(96, 64, |_, _| [255, 0, 0])).telling_hash(), None);
}

#[test]
fn no_size_is_too_small_or_too_odd() {
    for (width, height) in [(1, 1), (2, 1), (1, 3000), (3000, 1), (5, 7)] {
        let look = Look::of(&made(width, height, |x, y| [x as u8, y as u8, 9]));
        assert!(look.brightness.is_finite() && look.sharpness.is_finite() && look.information.is_finite());
    }
    assert_eq!(Look::of(&Picture::default()), Look::default());
}
