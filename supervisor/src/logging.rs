//! Log lines: for eyes on a terminal, one JSON object a line otherwise. Owns their form and where they go (stderr).
//!
//! Writing never blocks for long: a line that a full pipe does not take is dropped and counted, because a service must not
//! stop for somebody who does not read its log. No thread is used: the supervisor forks.

use crate::config::{Log, LogFormat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Changes the level of a running process.
pub type LevelHandle = reload::Handle<EnvFilter, Registry>;

/// Reads a level such as `info` or `info,engine=debug`.
///
/// # Errors
/// What is wrong and what is allowed.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    // A bare word that is no level would be taken for the name of a crate.
    let bare = level.split(',').map(str::trim).find(|part| !part.contains('=') && !known.contains(part));
    let help = "use error, warn, info, debug or trace, by part if need be: \"info,engine=debug\"";
    match bare {
        Some(word) => Err(format!("{word:?} is no level; {help}")),
        None => EnvFilter::try_new(level).map_err(|error| format!("{level:?}: {error}; {help}")),
    }
}

/// Starts logging in this process. `role` and `slot` stand in every line.
pub fn start(log: &Log, role: &'static str, slot: Option<u8>) -> Result<LevelHandle, String> {
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let (level, handle) = reload::Layer::new(filter(&log.level)?);
    let lines = tracing_subscriber::fmt::layer().event_format(Lines { json, role, slot }).with_writer(Stderr);
    tracing_subscriber::registry().with(level).with(lines).try_init().map_err(|error| error.to_string())?;
    Ok(handle)
}

/// The form of a line.
struct Lines {
    json: bool,
    role: &'static str,
    slot: Option<u8>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        if self.json {
            self.json(&mut out, meta.level(), meta.target(), fields)
        } else {
            self.human(&mut out, meta.level(), &fields)
        }
    }
}

impl Lines {
    fn json(&self, out: &mut Writer<'_>, level: &Level, target: &str, fields: Fields) -> fmt::Result {
        let mut line = Map::new();
        line.insert("time".into(), jiff::Timestamp::now().to_string().into());
        line.insert("level".into(), level.as_str().to_lowercase().into());
        line.insert("role".into(), self.role.into());
        if let Some(slot) = self.slot {
            line.insert("slot".into(), slot.into());
        }
        line.insert("target".into(), target.into());
        line.insert("message".into(), fields.message.into());
        line.extend(fields.others);
        writeln!(out, "{}", Value::Object(line))
    }

    fn human(&self, out: &mut Writer<'_>, level: &Level, fields: &Fields) -> fmt::Result {
        let time = jiff::Zoned::now().strftime("%H:%M:%S%.3f").to_string();
        write!(out, "{time} {level:>5} {}", self.role)?;
        if let Some(slot) = self.slot {
            write!(out, " {slot}")?;
        }
        write!(out, ": {}", one_line(&fields.message))?;
        for (name, value) in &fields.others {
            match value {
                Value::String(text) => write!(out, " {name}={}", one_line(text))?,
                value => write!(out, " {name}={value}")?,
            }
        }
        writeln!(out)
    }
}

/// What a client sent may stand in a message: it must not be able to forge a line or paint the terminal.
fn one_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(clean, "{}", c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// stderr, with patience.
#[derive(Clone, Copy)]
struct Stderr;

/// Lines that were dropped since the last one that was written.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// A pipe that polls writable takes this many bytes without blocking.
const PIPE_BUF: usize = 4096;
/// How long the first line waits for a full pipe; while it stays full, the next ones do not wait at all.
const PATIENCE_MS: u16 = 100;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let dropped = DROPPED.load(Ordering::Relaxed);
        let patience = if dropped == 0 { PollTimeout::from(PATIENCE_MS) } else { PollTimeout::ZERO };
        let writable = || {
            let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            poll(&mut fds, patience).is_ok_and(|n| n > 0)
        };
        for (index, part) in line.chunks(PIPE_BUF).enumerate() {
            if !writable() {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if index == 0 && dropped > 0 {
                DROPPED.fetch_sub(dropped, Ordering::Relaxed);
                writeln!(
                    &stderr,
                    "{{\"level\":\"warn\",\"message\":\"{dropped} log lines were dropped: nobody read them\"}}"
                )?;
            }
            // A reader that went away is no reason to stop.
            let _ = (&stderr).write_all(part);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
