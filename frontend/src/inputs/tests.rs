use super::*;
use std::convert::Infallible;
use std::time::Duration;

use base64_simd::STANDARD;
use http::{Request, header::CONTENT_LENGTH, header::CONTENT_TYPE};
use http_body_util::{Full, StreamBody};
use hyper::body::{Body, Frame};

const PICTURE: &[u8] = b"\x89PNG as far as anyone can tell from here \xff\xfe+/";

fn head(query: &str, content_type: Option<&str>) -> Parts {
    let mut request = Request::post(format!("/detect{query}"));
    if let Some(content_type) = content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    request.body(()).unwrap().into_parts().0
}

async fn read(inputs: &Inputs, head: &Parts, body: impl Into<Bytes>) -> Result<Input, RequestError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    read_body(inputs, head, Full::new(body.into()), deadline).await
}

/// One picture, received and loaded.
async fn read_body<B>(
    inputs: &Inputs,
    head: &Parts,
    body: B,
    deadline: Instant,
) -> Result<Input, RequestError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match inputs.receive(head, body, deadline).await? {
        (Asked::One(named), room) => inputs.load(named, deadline, room).await.map(|(input, _)| input),
        (Asked::Many(..), _) => panic!("a list"),
    }
}

/// The arrival's name, the query, the content type, the body, and the type it is taken for.
type Arrival = (&'static str, &'static str, Option<&'static str>, Vec<u8>, InputType);

/// Every way [`PICTURE`] may arrive without anything being fetched.
fn arrivals() -> Vec<Arrival> {
    let standard = STANDARD.encode_to_string(PICTURE);
    let url_safe = base64_simd::URL_SAFE_NO_PAD.encode_to_string(PICTURE);
    let escaped = standard.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let wrapped: String =
        standard.as_bytes().chunks(20).map(|line| format!("{}\n", str::from_utf8(line).unwrap())).collect();
    let array = format!("{PICTURE:?}");
    let object = |kind: &str, img: &str| format!(r#"{{"type":"{kind}","img":{img}}}"#).into_bytes();
    let base64 = object("base64", &format!("\"{standard}\""));
    let form = format!("type=base64&img={standard}").into_bytes();
    let part = |header: &str, content: &[u8]| {
        [format!("--X\r\nContent-Disposition: form-data; {header}\r\n\r\n").as_bytes(), content, b"\r\n"]
            .concat()
    };
    let multipart = |parts: &[Vec<u8>]| [parts.concat().as_slice(), b"--X--\r\n"].concat();
    let multi = Some("multipart/form-data; boundary=X");
    let (json, plain) = (Some("application/json"), Some("text/plain"));
    let (ab, encoded) = (Some("application/form-data"), Some("application/x-www-form-urlencoded"));
    let newline = |body: &[u8]| [body, b"\n"].concat();
    let percent: String = PICTURE.iter().map(|byte| format!("%{byte:02X}")).collect();
    use InputType::{Base64, Bytes, File};
    vec![
        ("json", "", json, base64.clone(), Base64),
        ("json, charset", "", Some("application/json; charset=utf-8"), base64.clone(), Base64),
        ("json, text", "", Some("text/json"), base64.clone(), Base64),
        ("json, unannounced", "", None, base64.clone(), Base64),
        ("json in ab's form", "", ab, base64.clone(), Base64),
        ("json in ab's form, newline", "", ab, newline(&base64), Base64),
        ("json in an encoded form", "", encoded, base64.clone(), Base64),
        ("json in plain text", "", plain, newline(&base64), Base64),
        ("json, url-safe", "", json, object("base64", &format!("\"{url_safe}\"")), Base64),
        ("json, wrapped", "", json, object("base64", &format!("{wrapped:?}")), Base64),
        (
            "json, data uri",
            "",
            json,
            object("base64", &format!("\"data:image/png;base64,{standard}\"")),
            Base64,
        ),
        ("json, no type", "", json, format!(r#"{{"img":"{standard}"}}"#).into(), Base64),
        (
            "json, no type, data uri",
            "",
            json,
            format!(r#"{{"img":"data:;base64,{standard}"}}"#).into(),
            Base64,
        ),
        (
            "json, type in the query",
            "?type=base64",
            json,
            format!(r#"{{"img":"{standard}"}}"#).into(),
            Base64,
        ),
        ("json, alias", "", json, format!(r#"{{"image":"{standard}"}}"#).into(), Base64),
        ("json, bytes", "", json, object("bytes", &array), Bytes),
        ("json, bytes, no type", "", json, format!(r#"{{"img":{array}}}"#).into(), Bytes),
        ("json, bytes, unannounced", "", None, object("bytes", &array), Bytes),
        ("json, bytes in ab's form", "", ab, object("bytes", &array), Bytes),
        ("form", "", encoded, form.clone(), Base64),
        ("form of ab", "", ab, form.clone(), Base64),
        ("form of ab, newline", "", ab, newline(&form), Base64),
        ("form in plain text", "", plain, form.clone(), Base64),
        ("form, unannounced", "", None, form.clone(), Base64),
        ("form, escaped", "", encoded, format!("type=base64&img={escaped}").into(), Base64),
        ("form, url-safe", "", encoded, format!("type=base64&img={url_safe}").into(), Base64),
        ("form, data uri", "", encoded, format!("img=data:image/png;base64,{standard}").into(), Base64),
        ("form, img first", "", ab, format!("img={standard}&type=base64").into(), Base64),
        ("form, no type", "", ab, format!("img={standard}").into(), Base64),
        ("form, type in the query", "?type=base64", ab, format!("img={standard}").into(), Base64),
        ("form, bytes escaped", "", encoded, format!("type=bytes&img={percent}").into(), Bytes),
        ("form, bytes as an array", "", encoded, format!("type=bytes&img={array}").into(), Bytes),
        (
            "multipart, file",
            "",
            multi,
            multipart(&[part(r#"name="type""#, b"file"), part(r#"name="img"; filename="a""#, PICTURE)]),
            File,
        ),
        (
            "multipart, file, no type",
            "",
            multi,
            multipart(&[part(r#"name="img"; filename="a""#, PICTURE)]),
            File,
        ),
        (
            "multipart, only file",
            "",
            multi,
            multipart(&[part(r#"name="upload"; filename="a""#, PICTURE)]),
            File,
        ),
        ("multipart, image", "", multi, multipart(&[part(r#"name="image"; filename="a""#, PICTURE)]), File),
        (
            "multipart, type in the query",
            "?type=bytes",
            multi,
            multipart(&[part(r#"name="img"; filename="a""#, PICTURE)]),
            Bytes,
        ),
        (
            "multipart, bytes",
            "",
            multi,
            multipart(&[part(r#"name="img""#, PICTURE), part(r#"name="type""#, b"bytes")]),
            Bytes,
        ),
        (
            "multipart, base64",
            "",
            multi,
            multipart(&[part(r#"name="type""#, b"base64"), part(r#"name="img""#, standard.as_bytes())]),
            Base64,
        ),
        (
            "multipart, base64, no type",
            "",
            multi,
            multipart(&[part(r#"name="img""#, wrapped.as_bytes())]),
            Base64,
        ),
        ("raw", "", Some("image/png"), PICTURE.into(), Bytes),
        ("raw, another format", "", Some("image/jpeg"), PICTURE.into(), Bytes),
        ("raw, octets", "", Some("application/octet-stream"), PICTURE.into(), Bytes),
        ("raw, type in the query", "?type=bytes", Some("application/octet-stream"), PICTURE.into(), Bytes),
        ("raw, unannounced", "", None, PICTURE.into(), Bytes),
    ]
}

#[tokio::test]
async fn a_picture_arrives_in_every_form() {
    let inputs = Inputs::new(&InputsConfig::default()).unwrap();
    let arrivals = arrivals();
    assert!(arrivals.len() >= 40);
    for (name, query, content_type, body, kind) in arrivals {
        let input = read(&inputs, &head(query, content_type), body).await;
        let expected = Input { kind, bytes: PICTURE.into(), options: RawOptions::default(), fetched: None };
        assert_eq!(input, Ok(expected), "{name}");
    }
}

#[tokio::test]
async fn paths_arrive_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a+b c.png"), PICTURE).unwrap();
    let config =
        InputsConfig { path: PathConfig { roots: vec![folder.path().into()] }, ..InputsConfig::default() };
    let inputs = Inputs::new(&config).unwrap();
    let multi = "--X\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\npath\r\n\
                 --X\r\nContent-Disposition: form-data; name=\"img\"\r\n\r\na+b c.png\r\n--X--\r\n";
    let absolute = format!(r#"{{"type":"path","img":"{}/a+b c.png"}}"#, folder.path().display());
    let cases = [
        ("application/json", r#"{"type":"path","img":"a+b c.png"}"#),
        ("application/json", &absolute),
        ("application/form-data", r#"{"type":"path","img":"a+b c.png"}"#),
        ("application/form-data", "type=path&img=a%2Bb+c.png\n"),
        ("application/x-www-form-urlencoded", "type=path&img=a%2Bb%20c.png"),
        ("multipart/form-data; boundary=X", multi),
    ];
    for (content_type, body) in cases {
        let input = read(&inputs, &head("", Some(content_type)), body.to_owned()).await.unwrap();
        assert_eq!((input.kind, &input.bytes[..]), (InputType::Path, PICTURE), "{content_type} {body}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_name() {
    let inputs = Inputs::new(&InputsConfig::default()).unwrap();
    let json = Some("application/json");
    let cases: [(&str, Option<&str>, &[u8], Code); 16] = [
        ("", json, b"", Code::BadJson),
        ("", json, b"{", Code::BadJson),
        ("", json, br#"{"type":"base64","img":"*"}"#, Code::BadBase64),
        ("", json, br#"{"type":"numpy","img":"QUJD"}"#, Code::UnsupportedType),
        ("", json, br#"{"type":"file","img":"QUJD"}"#, Code::UnsupportedType),
        ("", json, br#"{"type":"path","img":"/etc/passwd"}"#, Code::PathForbidden),
        ("", json, br#"{"type":"url","img":"file:///etc/passwd"}"#, Code::UrlForbidden),
        ("", json, br#"{"type":"url","img":"http://127.0.0.1/"}"#, Code::UrlForbidden),
        ("", json, br#"{"type":"url","img":"data:image/png;base64,QUJD"}"#, Code::UrlForbidden),
        ("?type=numpy", json, br#"{"img":"QUJD"}"#, Code::UnsupportedType),
        ("?type=path", Some("image/png"), PICTURE, Code::UnsupportedType),
        ("", Some("application/xml"), b"<img/>", Code::UnsupportedMediaType),
        ("", Some("multipart/form-data"), b"--X--", Code::BadForm),
        ("", Some("multipart/form-data; boundary=X"), b"--X--", Code::BadForm),
        ("", Some("application/form-data"), b"", Code::BadForm),
        ("", Some("application/x-www-form-urlencoded"), PICTURE, Code::BadForm),
    ];
    for (query, content_type, body, code) in cases {
        let got = read(&inputs, &head(query, content_type), body).await;
        assert_eq!(
            got.map_err(|error| error.code),
            Err(code),
            "{query} {content_type:?} {}",
            body.escape_ascii()
        );
    }
}

#[tokio::test]
async fn addresses_can_be_switched_off() {
    let url = UrlConfig { enabled: false, ..UrlConfig::default() };
    let inputs = Inputs::new(&InputsConfig { url, ..InputsConfig::default() }).unwrap();
    let error = read(&inputs, &head("", None), r#"{"img":"http://example.com/"}"#).await.unwrap_err();
    assert_eq!(error.code, Code::UrlForbidden);
}

fn small() -> Inputs {
    Inputs::new(&InputsConfig { max_body: 40, max_image: 20, ..InputsConfig::default() }).unwrap()
}

/// A body that says nothing of its length.
fn unmeasured(bytes: Vec<u8>) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    let pieces: Vec<_> =
        bytes.chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    StreamBody::new(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn size_is_limited_with_and_without_a_length() {
    let form = |digits: usize| format!("img={}", "Q".repeat(digits)).into_bytes();
    let (encoded, raw) = (Some("application/x-www-form-urlencoded"), Some("image/png"));
    let cases = [
        (raw, vec![0; 20], Ok(20)),
        (raw, vec![0; 21], Err(Code::BodyTooLarge)),
        (encoded, form(24), Ok(18)),
        (encoded, form(36), Err(Code::BodyTooLarge)),
        (encoded, form(37), Err(Code::BodyTooLarge)),
        (None, vec![0; 20], Ok(20)),
        (None, vec![0; 21], Err(Code::BodyTooLarge)),
    ];
    let inputs = small();
    for (content_type, body, expected) in cases {
        let mut head = head("", content_type);
        let length = body.len();
        let deadline = Instant::now() + Duration::from_secs(60);
        let got = read_body(&inputs, &head, unmeasured(body.clone()), deadline).await;
        let show =
            |got: Result<Input, RequestError>| got.map(|input| input.bytes.len()).map_err(|error| error.code);
        assert_eq!(show(got), expected, "{content_type:?} {length}");
        head.headers.insert(CONTENT_LENGTH, length.into());
        assert_eq!(show(read(&inputs, &head, body).await), expected, "{content_type:?} {length}, announced");
    }
}

#[tokio::test]
async fn what_is_announced_too_large_or_not_served_is_not_read() {
    let untouchable = || {
        StreamBody::new(futures_util::stream::poll_fn(
            |_| -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> { panic!("the body was read") },
        ))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut large = head("", Some("image/png"));
    large.headers.insert(CONTENT_LENGTH, 21.into());
    let got = small().receive(&large, untouchable(), deadline).await;
    assert_eq!(got.unwrap_err().code, Code::BodyTooLarge, "a form of 21 bytes would have been read");
    let got = small().receive(&head("", Some("text/html")), untouchable(), deadline).await;
    assert_eq!(got.unwrap_err().code, Code::UnsupportedMediaType);
    let got = small().receive(&head("?type=x", Some("image/png")), untouchable(), deadline).await;
    assert_eq!(got.unwrap_err().code, Code::UnsupportedType);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_given_up() {
    let slow = || {
        StreamBody::new(futures_util::stream::unfold(0, |sent| async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), sent + 1))
        }))
    };
    let inputs = Inputs::new(&InputsConfig::default()).unwrap();
    let begun = Instant::now();
    let got = inputs.receive(&head("", Some("image/png")), slow(), begun + Duration::from_secs(20)).await;
    assert_eq!(got.unwrap_err().code, Code::RequestTimeout);
    let hasty = InputsConfig { body_idle: Duration::from_secs(2), ..InputsConfig::default() };
    let begun = Instant::now();
    let got =
        Inputs::new(&hasty).unwrap().receive(&head("", None), slow(), begun + Duration::from_secs(60)).await;
    assert_eq!(got.unwrap_err().code, Code::RequestTimeout);
    assert_eq!(begun.elapsed(), Duration::from_secs(2), "by the paused clock");
}

#[tokio::test]
async fn a_long_body_is_taken_apart_elsewhere_with_the_same_result() {
    let inputs = Inputs::new(&InputsConfig::default()).unwrap();
    let picture: Vec<u8> = (0..3 * LONG_BODY).map(|i| (i >> 3) as u8).collect();
    let text = STANDARD.encode_to_string(&picture);
    let input = read(&inputs, &head("", None), format!(r#"{{"img":"{text}"}}"#)).await.unwrap();
    assert!(input.bytes == picture, "the picture changed on its way");
    let error = read(&inputs, &head("", None), format!(r#"{{"img":"{text}*"}}"#)).await.unwrap_err();
    assert_eq!(error.code, Code::BadBase64);
    let multipart = head("", Some("multipart/form-data; boundary=X"));
    let form =
        |img: &str| format!("--X\r\nContent-Disposition: form-data; name=\"img\"\r\n\r\n{img}\r\n--X--\r\n");
    let input = read(&inputs, &multipart, form(&text)).await.unwrap();
    assert!(input.bytes == picture, "the picture changed on its way");
    let array = format!("{:?}", &picture[..LONG_BODY]);
    let input =
        read(&inputs, &head("?type=bytes", Some("multipart/form-data; boundary=X")), form(&array)).await;
    assert!(input.unwrap().bytes == picture[..LONG_BODY], "the picture changed on its way");
    let error = read(&inputs, &multipart, form(&format!("{text}*"))).await.unwrap_err();
    assert_eq!(error.code, Code::BadBase64);
}

#[test]
fn the_configuration_reads_what_it_writes() {
    let config = InputsConfig::default();
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<InputsConfig>(&text).unwrap(), config, "{text}");
    assert_eq!(toml::from_str::<InputsConfig>("").unwrap(), config);
    let text = "max_image = \"1MiB\"\n[url]\nports = [8080]\nallow_networks = [\"127.0.0.0/8\"]\n[path]\nroots = [\"/srv\"]";
    let config: InputsConfig = toml::from_str(text).unwrap();
    assert_eq!((config.max_image, &config.url.ports[..]), (1 << 20, &[8080][..]));
    for text in [
        "bogus = 1",
        "[url]\nbogus = 1",
        "[path]\nbogus = 1",
        "[url]\nallow_networks = [\"127.0.0.1\"]",
        "body_idle = 3",
    ] {
        assert!(toml::from_str::<InputsConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn values_that_could_not_serve_are_refused() {
    let url = |change: fn(&mut UrlConfig)| {
        let mut config = InputsConfig::default();
        change(&mut config.url);
        config
    };
    let cases = [
        (InputsConfig { max_image: 0, ..InputsConfig::default() }, "inputs.max_image"),
        (InputsConfig { max_body: 1, ..InputsConfig::default() }, "inputs.max_body"),
        (InputsConfig { body_idle: Duration::ZERO, ..InputsConfig::default() }, "inputs.body_idle"),
        (InputsConfig { max_images: 0, ..InputsConfig::default() }, "inputs.max_images"),
        (InputsConfig { max_images: 257, ..InputsConfig::default() }, "inputs.max_images"),
        (url(|url| url.concurrency = 0), "inputs.url.concurrency"),
        (url(|url| url.concurrency_per_host = 0), "inputs.url.concurrency_per_host"),
        (url(|url| url.timeout = Duration::ZERO), "inputs.url"),
        (url(|url| url.allow_hosts = vec!["http://x/".into()]), "inputs.url.allow_hosts"),
        (url(|url| url.deny_hosts = vec!["*.x".into()]), "inputs.url.deny_hosts"),
    ];
    for (config, key) in cases {
        let error = Inputs::new(&config).expect_err(key).to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
