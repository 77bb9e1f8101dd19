use super::*;

fn part(content: &'static str, file: bool, binary: bool) -> Img<'static> {
    Img::Part { content: Bytes::from_static(content.as_bytes()), file, binary }
}

fn text(text: &'static str) -> Img<'static> {
    Img::Text(Cow::Borrowed(text))
}

fn picture(content: &'static str) -> Payload {
    Payload::Picture(Bytes::from_static(content.as_bytes()))
}

#[test]
fn a_missing_type_is_inferred() {
    let cases = [
        (text("QUJD"), InputType::Base64, picture("ABC")),
        (text("data:image/png;base64,QUJD"), InputType::Base64, picture("ABC")),
        (text("http://h/a"), InputType::Url, Payload::Address("http://h/a".into())),
        (text(" HTTPS://h/a\n"), InputType::Url, Payload::Address("HTTPS://h/a".into())),
        (Img::Array(vec![65]), InputType::Bytes, picture("A")),
        (Img::Escaped(b"QUJD"), InputType::Base64, picture("ABC")),
        (Img::Escaped(b"http%3A%2F%2Fh%2Fa"), InputType::Url, Payload::Address("http://h/a".into())),
        (Img::Escaped(b"http://h/a+b"), InputType::Url, Payload::Address("http://h/a+b".into())),
        (part("raw", true, false), InputType::File, picture("raw")),
        (part("raw", true, true), InputType::File, picture("raw")),
        (part("raw", false, true), InputType::Bytes, picture("raw")),
        (part("QUJD", false, false), InputType::Base64, picture("ABC")),
        (part("http://h/a", false, false), InputType::Url, Payload::Address("http://h/a".into())),
    ];
    for (img, kind, payload) in cases {
        let shown = format!("{img:?}");
        assert_eq!(img.resolve(None), Ok((kind, payload)), "{shown}");
    }
}

#[test]
fn a_stated_type_is_taken_at_its_word() {
    let cases = [
        (InputType::Path, text("http://h/a"), Payload::Path("http://h/a".into())),
        (InputType::Path, Img::Escaped(b"a+b%2Bc.jpg"), Payload::Path("a b+c.jpg".into())),
        (InputType::Url, text("x"), Payload::Address("x".into())),
        (InputType::Bytes, Img::Escaped(b"%89PN+G"), Payload::Picture(Bytes::from_static(b"\x89PN G"))),
        (InputType::Bytes, Img::Escaped(b"[65,66]"), picture("AB")),
        (InputType::Bytes, part("raw", false, false), picture("raw")),
        (InputType::Bytes, part(" [65, 66]\n", false, false), picture("AB")),
        (InputType::File, part("raw", false, false), picture("raw")),
        (InputType::File, part("[1]", true, false), picture("[1]")),
        (InputType::Base64, part("QUJD\n", true, true), picture("ABC")),
        (
            InputType::Base64,
            Img::Escaped(b"%2B/+/"),
            Payload::Picture(Bytes::from_static(&[0xfb, 0xff, 0xbf])),
        ),
    ];
    for (kind, img, payload) in cases {
        let shown = format!("{img:?}");
        assert_eq!(img.resolve(Some(kind)), Ok((kind, payload)), "{kind} {shown}");
    }
}

#[test]
fn a_type_that_does_not_fit_is_refused() {
    let cases = [
        (InputType::File, text("QUJD"), Code::UnsupportedType),
        (InputType::File, Img::Array(vec![1]), Code::UnsupportedType),
        (InputType::File, Img::Escaped(b"QUJD"), Code::UnsupportedType),
        (InputType::Bytes, text("QUJD"), Code::BadJson),
        (InputType::Bytes, Img::Escaped(b"[256]"), Code::BadJson),
        (InputType::Base64, Img::Array(vec![1]), Code::BadJson),
        (InputType::Url, Img::Array(vec![1]), Code::BadJson),
        (InputType::Path, Img::Array(vec![1]), Code::BadJson),
        (InputType::Path, Img::Escaped(b"%ff"), Code::BadRequest),
        (InputType::Url, Img::Escaped(b"http://%ff"), Code::BadRequest),
    ];
    for (kind, img, code) in cases {
        let shown = format!("{img:?}");
        assert_eq!(img.resolve(Some(kind)).unwrap_err().code, code, "{kind} {shown}");
    }
}

#[test]
fn plain_text_is_not_copied() {
    let raw = b"QUJD+/";
    assert!(matches!(unescape(raw, false), Cow::Borrowed(text) if text.as_ptr() == raw.as_ptr()));
    assert!(matches!(unescape(b"QUJD", true), Cow::Borrowed(_)));
}

#[test]
fn quotes_are_short_and_harmless() {
    assert_eq!(quote("x"), "'x'");
    assert_eq!(quote("a\r\nb"), "'a\\r\\nb'");
    assert_eq!(quote(&"y".repeat(99)), format!("'{}…'", "y".repeat(32)));
}

#[test]
fn an_option_is_a_short_text_however_it_comes() {
    let fits = "c".repeat(LONGEST_OPTION);
    let mut options = RawOptions::default();
    assert_eq!(options.put("classes", fits.clone()), Ok(false));
    assert_eq!(options.put("classes", fits), Ok(true));
    assert_eq!(options.put("score", "0".repeat(LONGEST_OPTION + 1)).unwrap_err().code, Code::BadParameter);
    let many = vec!["c".to_owned(); LONGEST_OPTION];
    assert_eq!(options.put_classes(many).unwrap_err().code, Code::BadParameter);
    let long = "c,".repeat(1 << 20);
    let json = format!(r#"{{"img":"QUJD","classes":"{long}"}}"#);
    let list = format!(r#"{{"img":"QUJD","classes":[{}1]}}"#, "1,".repeat(1 << 20));
    let code = |body: &str| super::super::json::parse(body.as_bytes(), None, 1).unwrap_err().code;
    assert_eq!((code(&json), code(&list)), (Code::BadParameter, Code::BadParameter));
}

#[test]
fn query_and_body_may_not_disagree_about_the_type() {
    let agreed = |body: Option<&str>, query| InputType::agreed(body.map(str::to_owned), query);
    assert_eq!(agreed(None, None), Ok(None));
    assert_eq!(agreed(Some("url"), Some(InputType::Url)), Ok(Some(InputType::Url)));
    assert_eq!(agreed(None, Some(InputType::Url)), Ok(Some(InputType::Url)));
    assert_eq!(agreed(Some("path"), Some(InputType::Url)).unwrap_err().code, Code::BadParameter);
}
