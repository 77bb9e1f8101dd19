//! What a supervisor leaves to the program that takes its place in the same process: the listening sockets, the children that
//! go on serving until the new ones can, and the way back.
//!
//! ```text
//! old program                                        new program, same pid
//!   checks the new file: `FILE check …`
//!   tells its children, exec ── DETECTD_HANDOVER ──▶   a board and children of its own, beside the former ones
//!                                                      ready: lets go of the former frontends' lines, they drain;
//!                                                             then of the former engine's
//!   serves as before ◀── exec ── DETECTD_HANDOVER ──   not ready: back to the file and configuration that served
//! ```
//!
//! It decides nothing: the driver knows when.

use crate::core::child::Kind;
use crate::spawn;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Pid, execve};
use serde::{Deserialize, Serialize};
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The variable in which the letter travels.
pub const VARIABLE: &str = "DETECTD_HANDOVER";

/// The signals that must not meet a program that has no handlers yet.
const HELD_BACK: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGCHLD];

/// What stands in the variable. Descriptors by their numbers, which an exec keeps.
#[derive(Serialize, Deserialize)]
struct Letter {
    listeners: Vec<RawFd>,
    former: Vec<(i32, bool, Option<RawFd>)>,
    /// The program that serves, for the way back.
    exe: RawFd,
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Number of this change on the board.
    change: u32,
    /// The configuration that serves, for the way back; only the program that wrote it reads it.
    config: serde_json::Value,
    /// Why the writer gave up, when this is the way back.
    refused: Option<String>,
}

/// A child of the program before this one.
pub struct Former {
    /// Its process.
    pub pid: Pid,
    /// What it is.
    pub kind: Kind,
    /// As long as this is held, it serves. `None` when it was let go of or never listened.
    pub line: Option<OwnedFd>,
}

/// What this program has from the one before it, or is about to leave to the next one.
pub struct Handover {
    /// The listening sockets.
    pub listeners: Vec<OwnedFd>,
    /// The children that serve.
    pub former: Vec<Former>,
    /// The program that serves.
    pub exe: OwnedFd,
    /// Where it was started from, and where an upgrade looks for the next.
    pub path: PathBuf,
    /// The arguments of both.
    pub arguments: Vec<OsString>,
    /// Number of this change on the board.
    pub change: u32,
    /// The configuration that serves, as the program that serves writes it.
    pub config: serde_json::Value,
    /// Why the upgrade was taken back, when it was.
    pub refused: Option<String>,
}

/// Reads what the program before this one left, if there was one.
///
/// # Errors
/// When the variable holds something else.
pub fn receive() -> io::Result<Option<Handover>> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let letter: Letter = serde_json::from_slice(&text.into_vec()).map_err(io::Error::other)?;
    let take = |fd: RawFd| -> io::Result<OwnedFd> {
        let fd = spawn::adopt(fd)?;
        set_inheritable(fd.as_fd(), false)?;
        Ok(fd)
    };
    let former = |(pid, engine, line): (i32, bool, Option<RawFd>)| -> io::Result<Former> {
        let kind = if engine { Kind::Engine } else { Kind::Frontend };
        Ok(Former { pid: Pid::from_raw(pid), kind, line: line.map(take).transpose()? })
    };
    Ok(Some(Handover {
        listeners: letter.listeners.into_iter().map(take).collect::<io::Result<_>>()?,
        former: letter.former.into_iter().map(former).collect::<io::Result<_>>()?,
        exe: take(letter.exe)?,
        path: letter.path,
        arguments: letter.arguments,
        change: letter.change,
        config: letter.config,
        refused: letter.refused,
    }))
}

impl Handover {
    /// Becomes the program at `path`, with the same arguments and environment, and leaves it all this. Returns only when that
    /// fails; then nothing has changed. The caller holds signals back: see [`hold_signals`].
    pub fn to_path(&self) -> io::Error {
        let path = self.path.clone();
        self.exec(&path)
    }

    /// Becomes the program that served before, which goes on with the configuration that served, and reports `why`.
    /// Returns only when that fails.
    pub fn go_back(&mut self, why: &str) -> io::Error {
        self.refused = Some(why.to_owned());
        if let Err(error) = hold_signals(true) {
            return error;
        }
        self.exec(Path::new(&format!("/proc/self/fd/{}", self.exe.as_raw_fd())))
    }

    fn exec(&self, program: &Path) -> io::Error {
        let attempt = || -> io::Result<()> {
            let letter = Letter {
                listeners: self.listeners.iter().map(AsRawFd::as_raw_fd).collect(),
                former: self
                    .former
                    .iter()
                    .map(|former| {
                        let line = former.line.as_ref().map(AsRawFd::as_raw_fd);
                        (former.pid.as_raw(), former.kind == Kind::Engine, line)
                    })
                    .collect(),
                exe: self.exe.as_raw_fd(),
                path: self.path.clone(),
                arguments: self.arguments.clone(),
                change: self.change,
                config: self.config.clone(),
                refused: self.refused.clone(),
            };
            let text = serde_json::to_string(&letter)?;
            let variables = std::env::vars_os().filter(|(name, _)| name != VARIABLE).map(|(name, value)| {
                let mut variable = name.into_vec();
                variable.push(b'=');
                variable.extend(value.into_vec());
                CString::new(variable)
            });
            let variables: Vec<CString> =
                variables.chain([CString::new(format!("{VARIABLE}={text}"))]).collect::<Result<_, _>>()?;
            let arguments: Vec<CString> = self
                .arguments
                .iter()
                .map(|argument| CString::new(argument.clone().into_vec()))
                .collect::<Result<_, _>>()?;
            let program = CString::new(program.as_os_str().to_owned().into_vec())?;
            self.set_inheritable(true)?;
            execve(&program, &arguments, &variables)?;
            Ok(())
        };
        let error = attempt().err().unwrap_or_else(|| io::ErrorKind::Other.into());
        // As it was. What fails here leaves a descriptor to children, which close what they do not know.
        let _ = self.set_inheritable(false);
        error
    }

    fn set_inheritable(&self, inheritable: bool) -> io::Result<()> {
        let lines = self.former.iter().filter_map(|former| former.line.as_ref());
        self.listeners
            .iter()
            .chain(lines)
            .chain([&self.exe])
            .try_for_each(|fd| set_inheritable(fd.as_fd(), inheritable))
    }
}

/// Holds signals back, or lets those come that were held back by the program before this one.
pub fn hold_signals(hold: bool) -> io::Result<()> {
    let how = if hold { SigmaskHow::SIG_BLOCK } else { SigmaskHow::SIG_UNBLOCK };
    Ok(sigprocmask(how, Some(&SigSet::from_iter(HELD_BACK)), None)?)
}

fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> io::Result<()> {
    let flags = if inheritable { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(fd, FcntlArg::F_SETFD(flags))?;
    Ok(())
}
