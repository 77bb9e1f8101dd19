//! The API keys: of a file, and those whose digests are configured. Only digests are kept in memory, every one of them is compared on every look, and how long that
//! takes says nothing of any key.

use crate::stamp::Stamp;
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Shortest key that is accepted: shorter ones can be guessed.
const SHORTEST: usize = 16;
/// Largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Which key, by its place in the file: what limits are counted by.
pub(super) type Name = Arc<str>;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("access.keys: {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A line is no key.
    #[error("access.keys: {path}, line {line}: {why}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong; never the key.
        why: &'static str,
    },
    /// A configured digest is none.
    #[error("access.key_digests: entry {0} (counted from 1) is not 64 hexadecimal digits")]
    Digest(usize),
    /// There is nobody who could ask.
    #[error("access.keys: {path} holds no key; write NAME KEY, one a line")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

type Sum = [u8; 32];

/// Keys by their digests.
type Known = Vec<(Name, Sum)>;

/// All keys there are.
#[derive(Debug)]
pub(super) struct Keys {
    configured: Known,
    file: Option<KeyFile>,
}

impl Keys {
    /// Reads the file, if one is named. `None` when there is neither file nor digest.
    pub fn open(path: &Path, digests: &[String]) -> Result<Option<Self>, KeysError> {
        let known = |(number, hex): (usize, &String)| {
            let sum = digits(hex).ok_or(KeysError::Digest(number))?;
            Ok((Name::from(format!("access.key_digests {number}")), sum))
        };
        let configured = (1..).zip(digests).map(known).collect::<Result<Known, KeysError>>()?;
        let is_named = !path.as_os_str().is_empty();
        let file = is_named.then(|| KeyFile::open(path)).transpose()?;
        Ok((file.is_some() || !configured.is_empty()).then_some(Self { configured, file }))
    }

    /// Takes up what was changed in the file.
    pub fn refresh(&self) {
        if let Some(file) = &self.file {
            file.refresh();
        }
    }

    /// Whose key this is.
    pub fn find(&self, key: &[u8]) -> Option<Name> {
        let sum = Sha256::digest(key);
        let of_file = self.file.as_ref().map(|file| file.keys.load());
        let all = || self.configured.iter().chain(of_file.iter().flat_map(|keys| keys.iter()));
        let (mut found, mut at) = (Choice::from(0), u32::MAX);
        for (index, (_, known)) in (0u32..).zip(all()) {
            let same = known.ct_eq(sum.as_slice());
            at.conditional_assign(&index, same);
            found |= same;
        }
        if bool::from(found) { all().nth(at as usize).map(|(name, _)| name.clone()) } else { None }
    }
}

/// The keys of a file, as it is now.
#[derive(Debug)]
struct KeyFile {
    path: PathBuf,
    keys: ArcSwap<Known>,
    seen: Mutex<Stamp>,
}

impl KeyFile {
    fn open(path: &Path) -> Result<Self, KeysError> {
        let failed = |source| KeysError::Read { path: path.to_owned(), source };
        let data = fs::metadata(path).map_err(failed)?;
        if data.len() > LARGEST {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let keys = ArcSwap::from_pointee(parse(path, &text)?);
        Ok(Self { path: path.to_owned(), keys, seen: Mutex::new(Stamp::new(&data)) })
    }

    /// Reads the file again when it was changed.
    fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = Stamp::of(&self.path).filter(|now| now != &*seen) else { return };
        *seen = now;
        match Self::open(&self.path) {
            Ok(file) => {
                self.keys.store(file.keys.load_full());
                tracing::info!(keys = self.keys.load().len(), "the API keys were read again");
            }
            Err(error) => tracing::error!(%error, "the API keys before stay in force"),
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Known, KeysError> {
    let mut keys = Known::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let wrong = |why| KeysError::Line { path: path.to_owned(), line, why };
        let mut words = content.split_ascii_whitespace();
        let (Some(name), Some(key), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("write NAME KEY or NAME sha256:HEX"));
        };
        let sum = match key.strip_prefix("sha256:") {
            Some(hex) => digits(hex).ok_or(wrong("sha256: is followed by 64 hexadecimal digits"))?,
            None if key.len() < SHORTEST => return Err(wrong("a key needs at least 16 characters")),
            None => Sha256::digest(key).into(),
        };
        keys.push((name.into(), sum));
    }
    if keys.is_empty() { Err(KeysError::Empty { path: path.to_owned() }) } else { Ok(keys) }
}

fn digits(hex: &str) -> Option<Sum> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| (byte as char).to_digit(16);
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect();
    bytes?.try_into().ok()
}
