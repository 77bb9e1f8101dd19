use super::*;
use http::HeaderValue;

fn chosen(sent: &[u8]) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, HeaderValue::from_bytes(sent).expect("a header value"));
    choose(&headers)
}

#[test]
fn a_good_id_is_taken_over() {
    for id in ["a", "trace-7/2:x", &"z".repeat(128)] {
        assert_eq!(chosen(id.as_bytes()), id);
    }
}

#[test]
fn any_other_id_is_replaced_by_a_ulid() {
    for id in [&b""[..], b"two words", b"quo\"te", b"back\\slash", b"\xc3\xa9", "z".repeat(129).as_bytes()] {
        let chosen = chosen(id);
        assert!(chosen.parse::<ulid::Ulid>().is_ok(), "{id:?} became {chosen}");
    }
}

#[test]
fn ids_of_our_own_differ() {
    assert_ne!(choose(&HeaderMap::new()), choose(&HeaderMap::new()));
}
