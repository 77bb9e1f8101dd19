//! Requests as they will be sent, made once before the clock starts: pictures in every input type and every form that
//! carries it.

use super::Target;
use crate::BenchError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use std::path::Path;
use url::form_urlencoded::byte_serialize;

/// A request ready to be sent; cloning it copies no body.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The request.
    pub request: Request<Full<Bytes>>,
    /// Bytes of its body.
    pub bytes: usize,
}

/// How a picture is named to the server.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The file in base64
    Base64,
    /// An address that the server fetches
    Url,
    /// A file on the server
    Path,
    /// The file's bytes
    Bytes,
    /// An uploaded file
    File,
}

impl Input {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Base64, Self::Path, Self::Bytes, Self::File, Self::Url];

    /// As the server names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Url => "url",
            Self::Path => "path",
            Self::Bytes => "bytes",
            Self::File => "file",
        }
    }

    /// The form that clients use most.
    pub const fn usual_form(self) -> Form {
        match self {
            Self::Bytes => Form::Raw,
            Self::File => Form::Multipart,
            Self::Base64 | Self::Url | Self::Path => Form::Json,
        }
    }
}

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// The body is the picture
    Raw,
    /// {"type":…,"img":…}
    Json,
    /// type=…&img=… as application/x-www-form-urlencoded
    Urlencoded,
    /// The same as application/form-data
    FormData,
    /// multipart/form-data
    Multipart,
}

/// One picture: its name (path or address) and, where it was read, its bytes.
pub struct Picture {
    /// What was given.
    pub name: String,
    /// The file, for the types that send it.
    pub bytes: Vec<u8>,
}

/// Requests for these pictures; `content_type` in place of `application/octet-stream`, where the body is the picture.
///
/// # Errors
/// When the form does not carry the type or has a content type of its own, or a file cannot be read.
pub fn shots(
    target: &Target,
    pictures: &[String],
    input: Input,
    form: Form,
    content_type: Option<&str>,
    headers: &[(String, String)],
) -> Result<Vec<Shot>, BenchError> {
    if content_type.is_some() && form != Form::Raw {
        let reason =
            "--content-type is that of a body as it stands: of --body, or of a picture in --form raw";
        return Err(BenchError::usage(reason));
    }
    pictures
        .iter()
        .map(|name| {
            let (name, bytes) = match input {
                Input::Url => (name.clone(), Vec::new()),
                Input::Path => {
                    let path =
                        std::path::absolute(name).map_err(|e| BenchError::file(Path::new(name), &e))?;
                    (path.to_string_lossy().into_owned(), Vec::new())
                }
                _ => {
                    let bytes = std::fs::read(name).map_err(|e| BenchError::file(Path::new(name), &e))?;
                    (name.clone(), bytes)
                }
            };
            let (usual, body) = encode(&Picture { name, bytes }, input, form)?;
            raw_shot(target, &Method::POST, content_type.unwrap_or(usual), body, headers)
        })
        .collect()
}

/// A request with a body that is given as it stands.
///
/// # Errors
/// When a header is none.
pub fn raw_shot(
    target: &Target,
    method: &Method,
    content_type: &str,
    body: Vec<u8>,
    headers: &[(String, String)],
) -> Result<Shot, BenchError> {
    let bytes = body.len();
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method.clone();
    *request.uri_mut() =
        target.path.parse().map_err(|error| BenchError::usage(format!("{}: {error}", target.path)))?;
    let mut put = |name: &str, value: &str| {
        let wrong = || BenchError::usage(format!("'{name}: {value}' is no header"));
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        Ok::<_, BenchError>(())
    };
    put(HOST.as_str(), &target.host)?;
    if !content_type.is_empty() {
        put(CONTENT_TYPE.as_str(), content_type)?;
    }
    for (name, value) in headers {
        put(name, value)?;
    }
    Ok(Shot { request, bytes })
}

const BOUNDARY: &str = "detectd-bench-5b0c27a1f4e94c0d";

/// Content type and body.
fn encode(picture: &Picture, input: Input, form: Form) -> Result<(&'static str, Vec<u8>), BenchError> {
    let kind = input.name();
    let text = match input {
        Input::Base64 => base64_simd::STANDARD.encode_to_string(&picture.bytes),
        Input::Url | Input::Path => picture.name.clone(),
        Input::Bytes | Input::File => String::new(),
    };
    let pairs = |img: &str| format!("type={kind}&img={img}").into_bytes();
    Ok(match (input, form) {
        (Input::Bytes, Form::Raw) => ("application/octet-stream", picture.bytes.clone()),
        (Input::Bytes, Form::Json) => (
            "application/json",
            serde_json::json!({"type": kind, "img": picture.bytes}).to_string().into_bytes(),
        ),
        (Input::File, Form::Multipart) => (MULTIPART, multipart(kind, Some("picture"), &picture.bytes)),
        (Input::Bytes, Form::Multipart) => (MULTIPART, multipart(kind, None, &picture.bytes)),
        (Input::File, _) | (_, Form::Raw) => {
            let reason = format!(
                "type {kind} cannot be sent so: file goes as multipart, bytes as raw, the others not as raw"
            );
            return Err(BenchError::usage(reason));
        }
        (_, Form::Json) => {
            ("application/json", serde_json::json!({"type": kind, "img": text}).to_string().into_bytes())
        }
        // A plus in base64 stands for itself there: no need to escape anything.
        (Input::Base64, Form::Urlencoded) => (URLENCODED, pairs(&text)),
        (Input::Base64, Form::FormData) => (FORM_DATA, pairs(&text)),
        (Input::Bytes, Form::Urlencoded) => {
            (URLENCODED, pairs(&byte_serialize(&picture.bytes).collect::<String>()))
        }
        (Input::Bytes, Form::FormData) => {
            (FORM_DATA, pairs(&byte_serialize(&picture.bytes).collect::<String>()))
        }
        (_, Form::Urlencoded) => (URLENCODED, pairs(&byte_serialize(text.as_bytes()).collect::<String>())),
        (_, Form::FormData) => (FORM_DATA, pairs(&byte_serialize(text.as_bytes()).collect::<String>())),
        (_, Form::Multipart) => (MULTIPART, multipart(kind, None, text.as_bytes())),
    })
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const FORM_DATA: &str = "application/form-data";
const MULTIPART: &str = "multipart/form-data; boundary=detectd-bench-5b0c27a1f4e94c0d";

fn multipart(kind: &str, file: Option<&str>, img: &[u8]) -> Vec<u8> {
    let name = file.map_or(String::new(), |file| {
        format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream")
    });
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\n{kind}\r\n\
         --{BOUNDARY}\r\nContent-Disposition: form-data; name=\"img\"{name}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(img);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}
