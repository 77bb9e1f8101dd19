use super::*;
use crate::inputs::Classes;
use crate::inputs::body::Limits;
use crate::inputs::payload::Payload;
use http::HeaderMap;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A part: what its header says after the name, and its content.
fn form(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (header, content) in parts {
        body += &format!("--B\r\nContent-Disposition: form-data; {header}\r\n\r\n{content}\r\n");
    }
    body + "--B--\r\n"
}

/// The form, from a body that comes in pieces of this size.
fn parse(body: impl Into<Bytes>, size: usize) -> Result<Named, RequestError> {
    let mut body: Bytes = body.into();
    let mut pieces = Vec::new();
    while !body.is_empty() {
        pieces.push(Ok::<_, Infallible>(Frame::data(body.split_to(size.min(body.len())))));
    }
    read_pieces(StreamBody::new(stream::iter(pieces)))
}

fn read_pieces<B>(body: B) -> Result<Named, RequestError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let limits = Limits { bytes: 64 << 20, idle: Duration::from_secs(60), min_rate: 0 };
        let (mut room, deadline) = (crate::inputs::roomy(), Instant::now() + Duration::from_secs(60));
        read("B", Intake::new(&HeaderMap::new(), body, limits, deadline, &mut room)?, None).await?.named()
    })
}

fn check(body: impl Into<Bytes>) -> Result<(InputType, Payload), Code> {
    let body = body.into();
    let show = |got: Result<Named, RequestError>| {
        got.map(|named| (named.kind, named.payload)).map_err(|error| error.code)
    };
    let whole = show(parse(body.clone(), usize::MAX));
    if body.len() < 10_000 {
        for size in [1, 2, 7, 100] {
            assert_eq!(show(parse(body.clone(), size)), whole, "in pieces of {size}");
        }
    }
    whole
}

const TEXT_IMG: &str = r#"name="img""#;
const FILE_IMG: &str = r#"name="img"; filename="a.jpg""#;
const TYPE: &str = r#"name="type""#;

#[test]
fn parts_are_found_or_missed() {
    let picture = |kind, content: &'static str| Ok((kind, Payload::Picture(Bytes::from(content))));
    let other = r#"name="upload"; filename="x""#;
    let cases: [(&[(&str, &str)], _); 24] = [
        (&[(FILE_IMG, "raw")], picture(InputType::File, "raw")),
        (&[(TYPE, "file"), (FILE_IMG, "raw")], picture(InputType::File, "raw")),
        (&[(FILE_IMG, "raw"), (TYPE, " file\n")], picture(InputType::File, "raw")),
        (&[(TYPE, "bytes"), (TEXT_IMG, "raw")], picture(InputType::Bytes, "raw")),
        (&[(TYPE, "bytes"), (TEXT_IMG, "[65]")], picture(InputType::Bytes, "A")),
        (&[(TYPE, "base64"), (TEXT_IMG, "QUJD")], picture(InputType::Base64, "ABC")),
        (
            &[(TYPE, "base64"), (TEXT_IMG, "+/+/")],
            Ok((InputType::Base64, Payload::Picture(Bytes::from_static(&[0xfb, 0xff, 0xbf])))),
        ),
        (&[(TYPE, "base64"), (FILE_IMG, "QU\nJD")], picture(InputType::Base64, "ABC")),
        (&[(TEXT_IMG, "QUJD")], picture(InputType::Base64, "ABC")),
        (
            &[(TEXT_IMG, "http://h/a?b&c+d%20")],
            Ok((InputType::Url, Payload::Address("http://h/a?b&c+d%20".into()))),
        ),
        (
            &[(TYPE, "path"), (TEXT_IMG, "a+b%20.jpg")],
            Ok((InputType::Path, Payload::Path("a+b%20.jpg".into()))),
        ),
        (&[(other, "raw")], picture(InputType::File, "raw")),
        (&[(other, "raw"), (FILE_IMG, "img")], picture(InputType::File, "img")),
        (&[("name=\"note\"", "hello"), (other, "raw")], picture(InputType::File, "raw")),
        (&[(r#"name="image"; filename="""#, "raw")], picture(InputType::File, "raw")),
        (&[(r#"name="img"; filename="../../etc/passwd""#, "raw")], picture(InputType::File, "raw")),
        (&[(FILE_IMG, "")], picture(InputType::File, "")),
        (&[(FILE_IMG, "\r\n--C\r\n")], picture(InputType::File, "\r\n--C\r\n")),
        (&[], Err(Code::BadForm)),
        (&[("name=\"note\"", "hello")], Err(Code::BadForm)),
        (&[(other, "1"), (r#"name="second"; filename="y""#, "2")], Err(Code::BadForm)),
        (&[(FILE_IMG, "1"), (FILE_IMG, "2")], Err(Code::BadForm)),
        (&[(TYPE, "file"), (TYPE, "file"), (FILE_IMG, "1")], Err(Code::BadForm)),
        (&[(TYPE, "tensor"), (FILE_IMG, "1")], Err(Code::UnsupportedType)),
    ];
    for (parts, expected) in cases {
        assert_eq!(check(form(parts)), expected, "{parts:?}");
    }
}

#[test]
fn a_part_marked_as_a_picture_is_bytes() {
    for kind in ["image/png", "application/octet-stream"] {
        let body = form(&[(&format!("{TEXT_IMG}\r\nContent-Type: {kind}"), "raw")]);
        assert_eq!(check(body), Ok((InputType::Bytes, Payload::Picture(Bytes::from("raw")))), "{kind}");
    }
}

#[test]
fn options_are_taken_from_the_form() {
    let body = form(&[(FILE_IMG, "x"), (r#"name="score""#, "0.5"), (r#"name="classes""#, "dog,cat\n")]);
    let options = parse(body, usize::MAX).unwrap().options;
    let expected = RawOptions {
        score: Some("0.5".into()),
        classes: Some(Classes::Text("dog,cat".into())),
        ..RawOptions::default()
    };
    assert_eq!(options, expected);
}

#[test]
fn malformed_forms_are_refused() {
    let whole = form(&[(FILE_IMG, "raw")]);
    let huge = form(&[(&format!("{FILE_IMG}\r\nX-Long: {}", "x".repeat(LONGEST_HEADER)), "raw")]);
    let many_fields: String = (0..100).map(|i| format!("\r\nX-{i}: 1")).collect();
    let cases = [
        String::new(),
        "hello".into(),
        "--B".into(),
        "--B--".into(),
        "--B--\r\n".into(),
        "--B\r\n\r\n--B--\r\n".into(),
        "--B\r\nContent-Disposition: form-data; name=\"img\"".into(),
        "--B\r\nContent-Disposition form-data\r\n\r\nraw\r\n--B--\r\n".into(),
        "--B\r\n\0: x\r\n\r\nraw\r\n--B--\r\n".into(),
        whole.replace("--B", "--C"),
        whole.replace("--B--\r\n", ""),
        whole.replace("--B--\r\n", "--B"),
        whole[..whole.len() - 12].to_owned(),
        huge,
        format!("--B\r\n{}", "x".repeat(1 << 20)),
        form(&[(&format!("{FILE_IMG}{many_fields}"), "raw")]),
    ];
    for body in cases {
        let shown: String = body.chars().take(80).collect();
        assert_eq!(check(body), Err(Code::BadForm), "{shown:?}");
    }
}

#[test]
fn every_cut_of_a_form_is_refused() {
    let whole = form(&[(TYPE, "file"), (FILE_IMG, "raw picture")]);
    let closing = whole.len() - "\r\n".len();
    for end in 0..closing {
        assert_eq!(check(whole[..end].to_owned()), Err(Code::BadForm), "cut at {end}");
    }
}

#[test]
fn parts_are_not_without_number() {
    let many = |count: usize| {
        let mut parts = vec![(r#"name="note""#, "x"); count - 1];
        parts.push((FILE_IMG, "raw"));
        form(&parts)
    };
    assert!(check(many(MOST_PARTS)).is_ok());
    assert_eq!(check(many(MOST_PARTS + 1)), Err(Code::BadForm));
    assert_eq!(check(many(10_000)), Err(Code::BadForm));
}

#[test]
fn the_picture_is_handed_on_whole() {
    let content: Vec<u8> = (0..200_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let mut body = b"--B\r\nContent-Disposition: form-data; name=\"img\"; filename=\"a\"\r\n\r\n".to_vec();
    body.extend_from_slice(&content);
    body.extend_from_slice(b"\r\n--B--\r\n");
    assert_eq!(check(body), Ok((InputType::File, Payload::Picture(content.into()))));
}

/// A body that repeats `piece` after `start` for as long as it is read, and the number of pieces that were read.
fn endless(
    start: &str,
    piece: &str,
) -> (impl Body<Data = Bytes, Error = Infallible> + Send + use<>, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let (count, start, piece) = (read.clone(), Bytes::from(start.to_owned()), Bytes::from(piece.to_owned()));
    let pieces = stream::unfold(Some(start), move |start| {
        let piece = start.unwrap_or_else(|| piece.clone());
        count.fetch_add(1, Relaxed);
        async move { Some((Ok(Frame::data(piece)), None)) }
    });
    (StreamBody::new(pieces), read)
}

#[test]
fn what_has_no_end_is_refused_as_soon_as_it_shows() {
    let part = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n";
    let kib = "x".repeat(1 << 10);
    for (what, start, piece, most) in [
        // The parser takes up to two pieces before it looks.
        ("parts", "", part, 2 * MOST_PARTS + 4),
        ("a part's header", "--B\r\nX-Long: ", &kib, 12),
        ("a first line", "", &kib, 12),
        ("the header of a later part", &format!("{part}--B\r\nX-Long: "), &kib, 12),
    ] {
        let (body, read) = endless(start, piece);
        assert_eq!(read_pieces(body).map(|named| named.kind).unwrap_err().code, Code::BadForm, "{what}");
        assert!(read.load(Relaxed) <= most, "{what}: {} pieces were read", read.load(Relaxed));
    }
}

#[test]
fn a_long_field_that_nobody_wants_is_passed_over() {
    let long = "x".repeat(1 << 20);
    let body = form(&[(r#"name="note""#, &long), (FILE_IMG, "raw")]);
    assert_eq!(parse(body, 1000).unwrap().payload, Payload::Picture(Bytes::from("raw")));
}

#[test]
fn what_the_body_does_wrong_is_said_as_for_any_other() {
    let pieces = [Ok(Frame::data(Bytes::from("--B\r\n"))), Err(std::io::Error::other("cut"))];
    let error = read_pieces(StreamBody::new(stream::iter(pieces))).unwrap_err();
    assert_eq!(error, Code::BadRequest.because("the body broke off or is malformed"));
    let (body, _) =
        endless("--B\r\nContent-Disposition: form-data; name=\"img\"\r\n\r\n", &"x".repeat(1 << 20));
    assert_eq!(read_pieces(body).unwrap_err().code, Code::BodyTooLarge);
}
