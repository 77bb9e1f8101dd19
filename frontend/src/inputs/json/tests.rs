use super::*;
use crate::inputs::payload::Payload;
use bytes::Bytes;

fn one(body: &[u8]) -> Result<Named, RequestError> {
    match parse(body, None, 4)? {
        Asked::One(named) => Ok(named),
        Asked::Many(..) => panic!("a list"),
    }
}

fn check(body: &str) -> Result<(InputType, Payload), Code> {
    one(body.as_bytes()).map(|named| (named.kind, named.payload)).map_err(|error| error.code)
}

#[test]
fn byte_arrays_hold_bytes() {
    let bytes = |bytes: &'static [u8]| Ok((InputType::Bytes, Payload::Picture(Bytes::from_static(bytes))));
    let cases = [
        ("[0,1,255]", bytes(&[0, 1, 255])),
        ("[ 137 , 80\n,78 ]", bytes(&[137, 80, 78])),
        ("[]", bytes(&[])),
        ("[256]", Err(Code::BadJson)),
        ("[-1]", Err(Code::BadJson)),
        ("[1.5]", Err(Code::BadJson)),
        ("[1.0]", Err(Code::BadJson)),
        ("[1e2]", Err(Code::BadJson)),
        ("[99999999999999999999]", Err(Code::BadJson)),
        ("[[1]]", Err(Code::BadJson)),
        ("[1,[2]]", Err(Code::BadJson)),
        ("[\"1\"]", Err(Code::BadJson)),
        ("[true]", Err(Code::BadJson)),
        ("[null]", Err(Code::BadJson)),
        ("[1,]", Err(Code::BadJson)),
        ("[1 2]", Err(Code::BadJson)),
        ("[01]", Err(Code::BadJson)),
        ("[1", Err(Code::BadJson)),
        ("{}", Err(Code::BadJson)),
        ("7", Err(Code::BadJson)),
        ("true", Err(Code::BadJson)),
        ("\"QUJD\"", Err(Code::BadJson)),
        ("null", Err(Code::BadJson)),
    ];
    for (img, expected) in cases {
        assert_eq!(check(&format!(r#"{{"type":"bytes","img":{img}}}"#)), expected, "{img}");
    }
}

#[test]
fn objects_are_read_or_refused() {
    let abc = || Ok((InputType::Base64, Payload::Picture(Bytes::from_static(b"ABC"))));
    let cases = [
        (r#"{"type":"base64","img":"QUJD"}"#, abc()),
        (r#"{"img":"QUJD","type":"base64"}"#, abc()),
        (r#"{"img":"QUJD"}"#, abc()),
        (r#"{"img":"QUJD","type":null}"#, abc()),
        (r#"{"image":"QUJD"}"#, abc()),
        (r#"{"value":"QUJD"}"#, abc()),
        (r#"{"file":"QUJD"}"#, abc()),
        (r#"{"img":"\u0051UJD"}"#, abc()),
        (r#"{"img":"data:image\/png;base64,QUJD"}"#, abc()),
        (r#"{"img":"QUJD","other":{"deep":[1,{"er":null}]}}"#, abc()),
        ("  \r\n{\"img\":\"QUJD\"}\n\n", abc()),
        ("", Err(Code::BadJson)),
        ("{", Err(Code::BadJson)),
        ("{}", Err(Code::BadJson)),
        ("null", Err(Code::BadJson)),
        (r#"["base64","QUJD"]"#, Err(Code::BadJson)),
        (r#""QUJD""#, Err(Code::BadJson)),
        (r#"{"img":"QUJD"} x"#, Err(Code::BadJson)),
        (r#"{"img":"QUJD"}{"img":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{'img':'QUJD'}"#, Err(Code::BadJson)),
        (r#"{"img":"QUJD",}"#, Err(Code::BadJson)),
        (r#"{"img":"QUJD","img":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{"img":"QUJD","image":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{"type":7,"img":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{"type":"base64"}"#, Err(Code::BadJson)),
        (r#"{"type":"base64","img":"Q*"}"#, Err(Code::BadBase64)),
        (r#"{"type":"numpy","img":"QUJD"}"#, Err(Code::UnsupportedType)),
        (r#"{"type":"file","img":"QUJD"}"#, Err(Code::UnsupportedType)),
        ("{\"img\":\"QU\nJD\"}", Err(Code::BadJson)),
        (r#"{"img":"\ud800"}"#, Err(Code::BadJson)),
    ];
    for (body, expected) in cases {
        assert_eq!(check(body), expected, "{body}");
    }
    assert_eq!(one(b"{\"img\":\"\xff\"}").unwrap_err().code, Code::BadJson);
}

#[test]
fn options_are_taken_as_text() {
    let body =
        br#"{"img":"QUJD","score":0.5,"iou":"0.45","top_k":3,"classes":["dog",7,"cat"],"format":null}"#;
    let options = one(body).unwrap().options;
    let expected = RawOptions {
        score: Some("0.5".into()),
        iou: Some("0.45".into()),
        top_k: Some("3".into()),
        classes: Some(Classes::List(vec!["dog".into(), "7".into(), "cat".into()])),
        format: None,
    };
    assert_eq!(options, expected);
    for value in ["{}", "true", "[[1]]", "[{}]"] {
        let body = format!(r#"{{"img":"QUJD","classes":{value}}}"#);
        assert_eq!(check(&body), Err(Code::BadJson), "{value}");
    }
}

#[test]
fn depth_does_not_matter() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(1_000_000);
        assert_eq!(check(&format!(r#"{{"img":"QUJD","x":{deep}"#)), Err(Code::BadJson));
        assert_eq!(check(&format!(r#"{{"img":{deep}"#)), Err(Code::BadJson));
        assert_eq!(check(&format!(r#"{{"classes":{deep}"#)), Err(Code::BadJson));
    }
}

#[test]
fn a_message_does_not_quote_the_picture() {
    let error = one(format!(r#"{{"img":["{}"]}}"#, "A".repeat(100_000)).as_bytes()).unwrap_err();
    assert!(error.detail.len() < 200, "{}", error.detail.len());
}

#[test]
fn the_text_is_borrowed_from_the_body() {
    let body = br#"{"img":"QUJD"}"#;
    let message: Message = serde_json::from_slice(body).unwrap();
    assert!(
        matches!(message.img.unwrap().0, Img::Text(Cow::Borrowed(text)) if text.as_ptr() == body[8..].as_ptr())
    );
}

fn many(body: &str) -> Result<Vec<Result<InputType, Code>>, Code> {
    match parse(body.as_bytes(), None, 4) {
        Ok(Asked::Many(list, _)) => {
            Ok(list.into_iter().map(|named| named.map(|named| named.kind).map_err(|e| e.code)).collect())
        }
        Ok(Asked::One(_)) => panic!("one picture"),
        Err(error) => Err(error.code),
    }
}

#[test]
fn a_list_has_pictures_each_with_its_own_mistakes() {
    use InputType::{Base64, Bytes, Path, Url};
    let cases = [
        (r#"{"images":[{"img":"QUJD"}]}"#, Ok(vec![Ok(Base64)])),
        (
            r#"{"images":[{"type":"url","img":"http://h/"},{"img":[1]},{"type":"path","img":"a"}]}"#,
            Ok(vec![Ok(Url), Ok(Bytes), Ok(Path)]),
        ),
        (
            r#"{"images":[{"img":"***"},{"type":"x","img":"a"},{},{"type":"file","img":"QUJD"}]}"#,
            Ok(vec![
                Err(Code::BadBase64),
                Err(Code::UnsupportedType),
                Err(Code::BadJson),
                Err(Code::UnsupportedType),
            ]),
        ),
        (r#"{"type":"path","images":[{"img":"a"}]}"#, Ok(vec![Ok(Path)])),
        (r#"{"type":"path","images":[{"type":"url","img":"a"}]}"#, Ok(vec![Err(Code::BadParameter)])),
        (r#"{"score":0.5,"images":[{"img":"QUJD","note":1}]}"#, Ok(vec![Ok(Base64)])),
        (r#"{"images":[]}"#, Err(Code::BadJson)),
        (r#"{"images":[{},{},{},{},{}]}"#, Err(Code::BadJson)),
        (r#"{"images":{}}"#, Err(Code::BadJson)),
        (r#"{"images":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{"images":["QUJD"]}"#, Err(Code::BadJson)),
        (r#"{"images":[[{}]]}"#, Err(Code::BadJson)),
        (r#"{"images":[{"img":7}]}"#, Err(Code::BadJson)),
        (r#"{"images":[{"img":"QUJD"}],"img":"QUJD"}"#, Err(Code::BadJson)),
        (r#"{"images":[{"img":"QUJD"}],"images":[]}"#, Err(Code::BadJson)),
        (r#"{"images":[{"img":"QUJD"}"#, Err(Code::BadJson)),
    ];
    for (body, expected) in cases {
        assert_eq!(many(body), expected, "{body}");
    }
}

#[test]
fn a_list_in_a_list_is_none() {
    // The inner list is a member that nobody knows.
    assert_eq!(many(r#"{"images":[{"images":[{"img":"QUJD"}]}]}"#), Ok(vec![Err(Code::BadJson)]));
}

#[test]
fn no_more_of_a_list_is_kept_than_shows_that_it_is_too_long() {
    let body = format!(r#"{{"images":[{}{{}}]}}"#, "{},".repeat(2_000_000));
    let List(list) = serde_json::from_str::<Message<'_>>(&body).unwrap().images.unwrap();
    assert_eq!(list.len(), MOST_IMAGES + 1);
    assert!(list.capacity() <= 2 * MOST_IMAGES + 2, "{}", list.capacity());
    assert_eq!(many(&body), Err(Code::BadJson));
}

#[test]
fn the_text_of_a_picture_is_borrowed_from_the_body() {
    let body = r#"{"type":"base64","img":"QUJD","images":[{"img":"QUJD"}]}"#;
    let message: Message<'_> = serde_json::from_str(body).unwrap();
    let inside = |img: &Option<Picture<'_>>| match img {
        Some(Picture(Img::Text(Cow::Borrowed(text)))) => {
            body.as_bytes().as_ptr_range().contains(&text.as_ptr())
        }
        _ => false,
    };
    assert!(inside(&message.img) && inside(&message.images.unwrap().0[0].img));
}
