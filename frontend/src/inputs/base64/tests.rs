use super::*;
use proptest::prelude::*;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The textbook's encoder, to hold the decoder against.
fn encode(bytes: &[u8], alphabet: &[u8; 64], padded: bool) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0u32, |bits, (i, &byte)| bits | u32::from(byte) << (16 - 8 * i));
        for digit in 0..=group.len() {
            text.push(char::from(alphabet[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
        if padded {
            text.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
    }
    text
}

#[test]
fn variants_decode() {
    let cases: [(&str, &[u8]); 22] = [
        ("", b""),
        ("QQ==", b"A"),
        ("QQ", b"A"),
        ("QUI=", b"AB"),
        ("QUI", b"AB"),
        ("QUJD", b"ABC"),
        ("QUJD\n", b"ABC"),
        ("  QUJD\r\n", b"ABC"),
        ("QU\nJD", b"ABC"),
        ("QU\r\nJD\r\n", b"ABC"),
        ("Q\tU\nI\n=\n", b"AB"),
        ("QQ=\n=", b"A"),
        ("+/+/", &[0xfb, 0xff, 0xbf]),
        ("-_-_", &[0xfb, 0xff, 0xbf]),
        ("-_-_\n-_8=", &[0xfb, 0xff, 0xbf, 0xfb, 0xff]),
        ("//8=", &[0xff, 0xff]),
        ("__8", &[0xff, 0xff]),
        ("data:image/png;base64,QUJD", b"ABC"),
        ("DATA:image/png;BASE64,QUJD", b"ABC"),
        ("data:;base64,QUI", b"AB"),
        ("data:image/jpeg;charset=x;base64, QUI=\n", b"AB"),
        ("data:image/png;base64,", b""),
    ];
    for (text, bytes) in cases {
        assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes), "{text:?}");
    }
}

#[test]
fn broken_text_is_named() {
    let cases = [
        ("Q", "cut off"),
        ("QUJDR", "cut off"),
        ("QQ=", "padded"),
        ("QUJD=", "padded"),
        ("QUI==", "padded"),
        ("Q===", "padded"),
        ("====", "padded"),
        ("QQ==QQ==", "padded"),
        ("Q=Q=", "padded"),
        ("+/-_", "mixes"),
        ("QU JD", "space at character 2"),
        ("QU%2BJD", "% at character 2"),
        ("QU*D", "character 2 is not"),
        ("QU\0D", "character 2 is not"),
        ("Qüüü", "character 1 is not"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png,QUJD", "not marked"),
        ("data:,QUJD", "not marked"),
    ];
    for (text, detail) in cases {
        let error = decode(text.as_bytes()).expect_err(text);
        assert_eq!(error.code, Code::BadBase64, "{text:?}");
        assert!(error.detail.contains(detail), "{text:?}: {}", error.detail);
    }
}

#[test]
fn a_prefix_is_not_sought_forever() {
    let text = format!("data:{},QUJD", "x".repeat(300));
    assert!(decode(text.as_bytes()).unwrap_err().detail.contains("no comma"));
}

proptest! {
    #[test]
    fn what_a_plain_encoder_writes_is_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..700),
        url_safe: bool,
        padded: bool,
        wrap in proptest::option::of(1usize..100),
        uri: bool,
    ) {
        let mut text = encode(&bytes, if url_safe { URL_SAFE } else { STANDARD }, padded);
        if let Some(width) = wrap {
            let lines: Vec<&str> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
            text = lines.join("\r\n");
        }
        if uri {
            text.insert_str(0, "data:image/jpeg;base64,");
        }
        prop_assert_eq!(decode(text.as_bytes()).unwrap(), bytes);
    }

    #[test]
    fn a_foreign_character_is_never_skipped(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        at: prop::sample::Index,
        foreign in "[ !#$%&*,.:;<>?@~]",
    ) {
        let mut text = encode(&bytes, STANDARD, true);
        // Not at an end, where a space is no more than white space.
        text.insert_str(1 + at.index(text.len() - 1), &foreign);
        prop_assert!(decode(text.as_bytes()).is_err());
    }

    #[test]
    fn any_bytes_are_judged_without_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&text);
    }
}
