//! Makes the pages of `web/` part of the program: puts the common parts into each page, compresses what gains by it, and writes
//! the table that `src/assets.rs` includes. The one step between the sources and what a browser gets; see `web/README.md`.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3Default;

/// The media type of each kind of file. A file of another kind is none of a page's.
const MEDIA_TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("txt", "text/plain; charset=utf-8"),
];
/// What pages are put together from, not served itself.
const PARTS: &str = "parts/";

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../web");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", root.display());

    let mut sources = BTreeMap::new();
    read_folder(&root, "", &mut sources)?;
    let version = version(&sources);
    let (parts, files): (BTreeMap<_, _>, BTreeMap<_, _>) =
        sources.into_iter().partition(|(path, _)| path.starts_with(PARTS));

    let mut table = format!("pub const VERSION: &str = \"{version}\";\npub static FILES: &[File] = &[\n");
    for (k, (path, bytes)) in files.iter().enumerate() {
        let bytes =
            if path.ends_with(".html") { assemble(path, bytes, &parts, &version) } else { bytes.clone() };
        let gzip = compressed(&bytes)?;
        let name = format!("web-{k}");
        fs::write(out.join(&name), &bytes)?;
        let gzip = match gzip {
            Some(gzip) => {
                fs::write(out.join(format!("{name}.gz")), gzip)?;
                format!("Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\")))")
            }
            None => "None".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "    File {{ path: {path:?}, media_type: {:?}, plain: include_bytes!(concat!(env!(\"OUT_DIR\"), \
             \"/{name}\")), gzip: {gzip} }},",
            media_type(path).expect("only such files were read")
        );
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)
}

/// All files of a folder that pages are made of, by their path below it.
fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().expect("names of sources are ASCII");
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else if media_type(&name).is_some() {
            files.insert(format!("{prefix}{name}"), fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    MEDIA_TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

/// Names what all files are now: a change of any makes another one.
fn version(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Xxh3Default::new();
    for (path, bytes) in files {
        hash.update(path.as_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:016x}", hash.digest())
}

/// A page with `{{name}}` replaced by the part of that name, and `{{assets}}` by where the other files are.
fn assemble(path: &str, page: &[u8], parts: &BTreeMap<String, Vec<u8>>, version: &str) -> Vec<u8> {
    let mut text = String::from_utf8(page.to_vec()).expect("pages are UTF-8");
    for (part, bytes) in parts {
        let name = part.trim_start_matches(PARTS).trim_end_matches(".html");
        let part = std::str::from_utf8(bytes).expect("parts are UTF-8");
        text = text.replace(&format!("{{{{{name}}}}}"), part.trim_end());
    }
    let text = text.replace("{{assets}}", &format!("/assets/{version}"));
    assert!(
        !text.contains("{{"),
        "{path}: there is no such part: {}",
        text[text.find("{{").unwrap_or(0)..].lines().next().unwrap_or("")
    );
    text.into_bytes()
}

/// The file compressed, if that is a tenth less.
fn compressed(bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    let gzip = gzip.finish()?;
    Ok((gzip.len() < bytes.len() / 10 * 9).then_some(gzip))
}
