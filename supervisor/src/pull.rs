//! `detectd model pull`: fetches a file by address and SHA-256. What does not hash right never gets the file's name.

use crate::Failure;
use crate::cli::PullArgs;
use sha2::{Digest, Sha256};
use shm_proto::control::Exit;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for a body: a gigabyte over a slow line.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("--sha256 {0}: write 64 hexadecimal digits")]
    Hash(String),
    #[error("{0}: its last part is no file name; say where with -o FILE")]
    Name(String),
    #[error("{url}: {reason}")]
    Fetch { url: String, reason: String },
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{url}: its SHA-256 is {found} and not {wanted}; nothing was kept")]
    Mismatch { url: String, found: String, wanted: String },
}

/// Fetches, checks, then names the file; one that is there already and right is left alone.
pub fn run(args: &PullArgs) -> Result<(), Failure> {
    let fail = |error: PullError| {
        let exit = if matches!(error, PullError::Fetch { .. }) { Exit::Temporary } else { Exit::Usage };
        Failure { exit, why: error.to_string() }
    };
    let wanted = args.sha256.to_lowercase();
    if wanted.len() != 64 || !wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fail(PullError::Hash(args.sha256.clone())));
    }
    let output = output(args).map_err(fail)?;
    if File::open(&output)
        .ok()
        .and_then(|file| copy(file, io::sink()).ok())
        .is_some_and(|(found, _)| found == wanted)
    {
        println!("{} is there already", output.display());
        return Ok(());
    }
    let bytes = pull(&args.url, &wanted, &output).map_err(fail)?;
    println!("{}: {bytes} bytes, sha256 {wanted}", output.display());
    Ok(())
}

fn output(args: &PullArgs) -> Result<PathBuf, PullError> {
    if let Some(path) = &args.output {
        return Ok(path.clone());
    }
    let address = args.url.split(['?', '#']).next().unwrap_or_default();
    match address.split_once("://").and_then(|(_, rest)| rest.rsplit_once('/')) {
        Some((_, name)) if !name.is_empty() && name != "." && name != ".." => Ok(PathBuf::from(name)),
        _ => Err(PullError::Name(args.url.clone())),
    }
}

fn pull(url: &str, wanted: &str, output: &Path) -> Result<u64, PullError> {
    let fetch = |reason: String| PullError::Fetch { url: url.to_owned(), reason };
    let write = |source| PullError::Write { path: output.to_path_buf(), source };
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(LONGEST))
        .build()
        .new_agent();
    let response = agent.get(url).call().map_err(|error| fetch(error.to_string()))?;
    // Beside the target, so that the rename stays on one file system and is atomic.
    let partial = output.with_file_name(format!(
        ".{}.{}.part",
        output.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    let file = File::create(&partial).map_err(write)?;
    let finish = || {
        let (found, bytes) =
            copy(response.into_body().into_reader(), &file).map_err(|error| fetch(error.to_string()))?;
        if found != wanted {
            return Err(PullError::Mismatch { url: url.to_owned(), found, wanted: wanted.to_owned() });
        }
        file.sync_all().map_err(write)?;
        fs::rename(&partial, output).map_err(write)?;
        Ok(bytes)
    };
    let result = finish();
    if result.is_err() {
        let _ = fs::remove_file(&partial); // the error that counts is the first
    }
    result
}

/// Copies to the end; returns the SHA-256 in hexadecimal and the number of bytes.
fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<(String, u64)> {
    let (mut hash, mut total, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        total += count as u64;
    }
    Ok((hex(&hash.finalize()), total))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
