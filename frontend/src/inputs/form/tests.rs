use super::*;

/// The one picture that was asked for.
fn named(asked: Result<Asked, RequestError>) -> Result<Named, RequestError> {
    asked.map(|asked| match asked {
        Asked::One(named) => named,
        Asked::Many(..) => panic!("a list"),
    })
}
use crate::inputs::Classes;
use http::Request;

fn head(content_type: &str) -> Parts {
    Request::post("/detect").header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts().0
}

#[test]
fn content_types_are_read() {
    let cases = [
        ("application/json", Some(MediaType::Json)),
        ("Application/JSON; charset=utf-8", Some(MediaType::Json)),
        ("text/json", Some(MediaType::Json)),
        ("application/ld+json", Some(MediaType::Json)),
        ("application/form-data", Some(MediaType::Form)),
        ("application/x-www-form-urlencoded", Some(MediaType::Form)),
        ("application/x-www-form-urlencoded; charset=UTF-8", Some(MediaType::Form)),
        ("text/plain", Some(MediaType::Form)),
        ("image/jpeg", Some(MediaType::Raw)),
        ("image/anything", Some(MediaType::Raw)),
        ("application/octet-stream", Some(MediaType::Raw)),
        ("multipart/form-data; boundary=x", Some(MediaType::Multipart("x".into()))),
        ("multipart/form-data; boundary=\"a b\"", Some(MediaType::Multipart("a b".into()))),
        ("", Some(MediaType::Unsaid)),
        ("multipart/mixed; boundary=x", None),
        ("application/xml", None),
        ("text/html", None),
        ("video/mp4", None),
        ("json", None),
        ("imagejpeg", None),
    ];
    for (text, expected) in cases {
        let got = MediaType::of(&head(text));
        assert_eq!(got.as_ref().ok(), expected.as_ref(), "{text}");
        if let Err(error) = got {
            assert_eq!(error.code, Code::UnsupportedMediaType, "{text}");
        }
    }
    for text in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        &format!("multipart/form-data; boundary={}", "b".repeat(71)),
    ] {
        assert_eq!(MediaType::of(&head(text)).unwrap_err().code, Code::BadForm, "{text}");
    }
}

#[test]
fn two_content_types_are_refused() {
    let mut head = head("image/png");
    head.headers.append(CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(MediaType::of(&head).unwrap_err().code, Code::BadRequest);
}

#[test]
fn fields_are_found_or_missed() {
    let abc = Ok((InputType::Base64, "ABC"));
    let cases = [
        ("type=base64&img=QUJD", abc),
        ("img=QUJD&type=base64", abc),
        ("type=base64&img=QUJD\n", abc),
        ("type=base64&img=QUJD\r\n\r\n", abc),
        ("\n type=base64&img=QUJD", abc),
        ("img=QUJD", abc),
        ("image=QUJD", abc),
        ("value=QUJD", abc),
        ("file=QUJD", abc),
        ("type=base64&img=QUI=", Ok((InputType::Base64, "AB"))),
        ("type=base64&img=QQ==", Ok((InputType::Base64, "A"))),
        ("type=base64&img=QQ%3D%3D", Ok((InputType::Base64, "A"))),
        ("type=base64&img=Pz8%2FPz8/Pj4+", Ok((InputType::Base64, "??????>>>"))),
        ("type=base64&img=%51UJD", abc),
        ("%74ype=base64&i%6dg=QUJD", abc),
        ("type=base64&img=data:image/png;base64,QUJD", abc),
        ("type=base64&img=QUJD&other=1&", abc),
        ("type=bytes&img=%41%42+C", Ok((InputType::Bytes, "AB C"))),
        ("type=bytes&img=[65,66]", Ok((InputType::Bytes, "AB"))),
        ("type=base64&img=QUJD&score=0.5", abc),
        ("type=base64", Err(Code::BadForm)),
        ("", Err(Code::BadForm)),
        ("hello", Err(Code::BadForm)),
        ("\u{89}PNG", Err(Code::BadForm)),
        ("img=QUJD&img=QUJD", Err(Code::BadForm)),
        ("img=QUJD&image=QUJD", Err(Code::BadForm)),
        ("type=base64&type=base64&img=QUJD", Err(Code::BadForm)),
        ("score=1&score=1&img=QUJD", Err(Code::BadForm)),
        ("type=exe&img=QUJD", Err(Code::UnsupportedType)),
        ("type=file&img=QUJD", Err(Code::UnsupportedType)),
        ("type=base64&img=QU JD", Err(Code::BadBase64)),
        ("type=base64&img=%zz", Err(Code::BadBase64)),
        ("type=url&img=http://h/p?a=1&b=2", Err(Code::BadForm)),
        ("type=bytes&img=[256]", Err(Code::BadJson)),
    ];
    for (body, expected) in cases {
        let expected =
            expected.map(|(kind, content)| (kind, Payload::Picture(Bytes::from_static(content.as_bytes()))));
        let got = parse(body.as_bytes(), None).map(|named| (named.kind, named.payload));
        assert_eq!(got.map_err(|error| error.code), expected, "{body}");
    }
}

#[test]
fn fields_are_not_without_number() {
    let many = |count: usize| format!("img=QUJD{}", "&a=1".repeat(count - 1));
    assert!(parse(many(MOST_FIELDS).as_bytes(), None).is_ok());
    assert_eq!(parse(many(MOST_FIELDS + 1).as_bytes(), None).unwrap_err().code, Code::BadForm);
    assert_eq!(parse("&".repeat(1_000_000).as_bytes(), None).unwrap_err().code, Code::BadForm);
}

#[test]
fn options_are_taken_from_the_form() {
    let named = parse(b"img=QUJD&score=0.5&iou=%2e4&top_k=3&classes=dog,hot+dog&format=image", None).unwrap();
    let expected = RawOptions {
        score: Some("0.5".into()),
        iou: Some(".4".into()),
        top_k: Some("3".into()),
        classes: Some(Classes::Text("dog,hot dog".into())),
        format: Some("image".into()),
    };
    assert_eq!(named.options, expected);
}

#[test]
fn the_first_character_decides_where_the_header_does_not() {
    let cases: [(MediaType, &[u8], Result<InputType, Code>); 15] = [
        (MediaType::Form, br#"{"img":"QUJD"}"#, Ok(InputType::Base64)),
        (MediaType::Form, b" \n{\"type\":\"path\",\"img\":\"a\"}", Ok(InputType::Path)),
        (MediaType::Form, b"img=QUJD", Ok(InputType::Base64)),
        (MediaType::Form, b"{", Err(Code::BadJson)),
        (MediaType::Json, br#"{"img":"QUJD"}"#, Ok(InputType::Base64)),
        (MediaType::Json, b"img=QUJD", Err(Code::BadJson)),
        (MediaType::Unsaid, br#"{"img":"QUJD"}"#, Ok(InputType::Base64)),
        (MediaType::Unsaid, b"type=base64&img=QUJD", Ok(InputType::Base64)),
        (MediaType::Unsaid, b"img=QUJD", Ok(InputType::Base64)),
        (MediaType::Unsaid, b"\xff\xd8\xff\xe0", Ok(InputType::Bytes)),
        (MediaType::Unsaid, b"BM=", Ok(InputType::Bytes)),
        (MediaType::Unsaid, b"", Ok(InputType::Bytes)),
        (MediaType::Raw, br#"{"img":"QUJD"}"#, Ok(InputType::Bytes)),
        (MediaType::Raw, b"img=QUJD", Ok(InputType::Bytes)),
        (MediaType::Raw, b"", Ok(InputType::Bytes)),
    ];
    for (media_type, body, expected) in cases {
        let got = named(media_type.clone().parse(Bytes::from_static(body), None, 1));
        assert_eq!(
            got.map(|named| named.kind).map_err(|error| error.code),
            expected,
            "{media_type:?} {body:?}"
        );
    }
}

#[test]
fn the_query_says_the_type_when_the_body_does_not() {
    let parse = |media_type: MediaType, body: &'static str, asked| {
        named(media_type.parse(Bytes::from(body), Some(asked), 1))
            .map(|named| named.kind)
            .map_err(|error| error.code)
    };
    assert_eq!(parse(MediaType::Form, "img=a", InputType::Path), Ok(InputType::Path));
    assert_eq!(parse(MediaType::Json, r#"{"img":"a"}"#, InputType::Path), Ok(InputType::Path));
    assert_eq!(parse(MediaType::Form, "type=url&img=a", InputType::Path), Err(Code::BadParameter));
    assert_eq!(parse(MediaType::Raw, "x", InputType::Bytes), Ok(InputType::Bytes));
    assert_eq!(parse(MediaType::Raw, "x", InputType::Base64), Err(Code::UnsupportedType));
    assert_eq!(parse(MediaType::Raw, "x", InputType::File), Err(Code::UnsupportedType));
}
