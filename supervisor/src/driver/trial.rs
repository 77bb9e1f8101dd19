//! A program on trial: `FILE check` with the arguments of this service, in a process beside it.

use crate::handover;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The trial under way.
pub struct Trial {
    child: Child,
    said: File,
    until: Instant,
}

impl Trial {
    /// Starts the program at `path`. It has so much time for its verdict.
    ///
    /// # Errors
    /// The system's, when it is none.
    pub fn start(path: &Path, time: Duration) -> io::Result<Self> {
        let said = tempfile::tempfile()?;
        let mut command = Command::new(path);
        command
            .arg("check")
            .args(std::env::args_os().skip(2)) // our own name, and `serve`
            .env_remove(handover::VARIABLE)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            .process_group(0);
        Ok(Self { child: command.spawn()?, said, until: Instant::now() + time })
    }

    /// Its process. The driver reaps it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Ends one that takes too long. Must not be called once it was reaped.
    pub fn watch(&mut self, now: Instant) {
        if self.until <= now {
            let _ = self.child.kill(); // an error means that it has just ended
        }
    }

    /// What was wrong, in its own words.
    pub fn complaint(mut self, how: impl std::fmt::Display) -> String {
        let mut text = String::new();
        let read =
            self.said.rewind().and_then(|()| self.said.by_ref().take(1 << 16).read_to_string(&mut text));
        let failed: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("FAIL")).map(str::trim).collect();
        match read {
            Ok(_) if !failed.is_empty() => failed.join("; "),
            Ok(_) => match text.lines().rev().find(|line| !line.trim().is_empty()) {
                Some(last) => format!("the new program's check {how}: {last}"),
                None => format!("the new program's check {how}"),
            },
            Err(error) => format!("the new program's check {how}: {error}"),
        }
    }
}
