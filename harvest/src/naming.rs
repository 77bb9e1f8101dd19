//! Where a picture lies: folders by class, score and day, and back from a path to what it says. Class names come from
//! models and people, so they are made harmless first.

use crate::index::State;
use std::path::{Component, Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The class of a picture in which nothing was found.
pub const NOTHING: &str = "_nothing";
/// Folders of ours; a class's never begins like them.
pub const REVIEWED: &str = "_reviewed";
/// What people did not want.
pub const REJECTED: &str = "_rejected";
/// What can be thrown away and made again.
pub const INDEX: &str = "_index";
/// What the models were called and which classes they had.
pub const MODELS: &str = "_models";

/// Longest class folder in bytes; longer names are cut and told apart by a hash.
const LONGEST: usize = 100;

/// A class's folder: the name itself, with what a file system or a shell would take for something else written `%XX`.
pub fn folder(class: &str) -> String {
    if class == NOTHING {
        return NOTHING.to_owned();
    }
    let mut out = String::with_capacity(class.len());
    for (at, c) in class.char_indices() {
        let leading = at == 0 && matches!(c, '.' | '_' | '-' | '~' | ' ');
        let awkward =
            c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%');
        if leading || awkward {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    if out.is_empty() {
        return "%".to_owned();
    }
    if out.len() > LONGEST {
        let cut = out.floor_char_boundary(LONGEST);
        out = format!("{}~{:016x}", &out[..cut], xxh3_64(class.as_bytes()));
    }
    out
}

/// The class that a folder stands for. A name that was cut stays as it is.
pub fn class(folder: &str) -> String {
    let bytes = folder.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = || folder.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if bytes[at] == b'%'
            && let Some(byte) = hex()
        {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| folder.to_owned())
}

/// The folder of a score: tenths, the last one with 1 in it.
pub fn bucket(score: f32) -> String {
    let tenth = ((score.clamp(0.0, 1.0) * 10.0) as u32).min(9);
    format!("0.{tenth}-{}.{}", (tenth + 1) / 10, (tenth + 1) % 10)
}

/// Where a picture lies below the root.
pub fn place(state: State, class: &str, score: f32, date: &str, file: &str) -> PathBuf {
    let folder = folder(class);
    match state {
        State::New => [folder.as_str(), &bucket(score), date, file].iter().collect(),
        State::Accepted => [REVIEWED, &folder, file].iter().collect(),
        State::Rejected => [REJECTED, &folder, file].iter().collect(),
    }
}

/// State and class by a picture's place below the root; `None` for a place where no pictures lie.
pub fn read(path: &Path) -> Option<(State, String)> {
    let parts: Vec<&str> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    match parts[..] {
        [INDEX | MODELS, ..] => None,
        [REVIEWED, folder, _] => Some((State::Accepted, class(folder))),
        [REJECTED, folder, _] => Some((State::Rejected, class(folder))),
        // People who sort by hand need not make the folders below the class.
        [folder, .., _] if folder == NOTHING || !folder.starts_with(['_', '.']) => {
            Some((State::New, class(folder)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
