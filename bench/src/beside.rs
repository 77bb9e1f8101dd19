//! A batch beside the floor: the two work in turns on the same cores, each stopped while the other works, so that a machine
//! that drifts drifts for both. Owns the batch's processes for that time; that they stand still now and then does not count as their time.

use crate::BenchError;
use crate::floor::{Floor, Part};
use crate::service::guard;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One turn as a rule: long beside the milliseconds in which caches fill anew, short beside what a machine drifts in.
pub const TURN: Duration = Duration::from_secs(2);
/// One turn at most: the engine takes a run that stood still so long for one that lasts, and `engine.run_timeout` is longer.
const LONGEST_TURN: Duration = Duration::from_secs(3);
/// How long the batch's frontends may say nothing.
const SILENCE: &str = "service.frontend_silence=10s";
/// Turns of the batch whose share of the floor is one figure: pictures are answered several together, which a single turn is too short for.
const BLOCK: usize = 4;
/// How often it is looked whether the batch has ended: each look takes a core from it for a moment.
const LOOK: Duration = Duration::from_millis(20);

/// The batch at the end of one of its turns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reached {
    /// Seconds it has worked so far.
    worked: f64,
    /// Pictures answered so far.
    done: usize,
}

/// What came of both.
#[derive(Debug, PartialEq)]
pub struct Beside {
    /// Images a second of each of the floor's turns.
    pub job: Vec<f64>,
    /// Images a second of the batch's turns but its first, in which it started, and its last, in which it ended.
    pub batch: f64,
    /// Images a second of the whole batch, from its command to its end.
    pub whole: f64,
    /// Of each block of those turns, as a share of the floor's between them.
    pub shares: Vec<f64>,
}

/// Runs a batch over these inputs, in which there are so many pictures, with these further words of its command line, and the floor
/// whenever it is not its turn.
///
/// # Errors
/// A turn that is too long, a batch that fails, or ends before there is a turn to measure.
pub fn batch(
    floor: &Floor,
    turn: Duration,
    inputs: &[String],
    pictures: usize,
    words: &[String],
) -> Result<Beside, BenchError> {
    if turn.is_zero() || turn > LONGEST_TURN {
        return Err(BenchError::usage(format!(
            "--duration: a turn of {turn:?} is not between 0 and {LONGEST_TURN:?}"
        )));
    }
    let mut batch = Batch::start(inputs, words)?;
    let (mut reached, mut job) = (Vec::new(), Vec::new());
    loop {
        let ended = batch.work(turn)?;
        reached.push(Reached { worked: batch.worked.as_secs_f64(), done: batch.done()? });
        match ended {
            None => job.push(batch.pause(|| floor.measure(Part::Job, turn))?),
            // An answer for each of them, or it would not have ended so.
            Some(status) if status.success() => break,
            Some(status) => return Err(BenchError::failed(format!("the batch ended with {status}"))),
        }
    }
    if let Some(last) = reached.last_mut() {
        last.done = pictures;
    }
    compare(&reached, job)
}

/// Turns of the batch against the floor's between them: `job[k]` is of the time between `reached[k]` and `reached[k + 1]`.
fn compare(reached: &[Reached], job: Vec<f64>) -> Result<Beside, BenchError> {
    let last = reached.last().copied().unwrap_or_default();
    let turns = &reached[..reached.len().saturating_sub(1)];
    let [first, .., end] = turns else {
        let reason =
            format!("the batch was over after {:.1} s: too few pictures to be measured", last.worked);
        return Err(BenchError::usage(reason));
    };
    let rate = |from: &Reached, to: &Reached| (to.done - from.done) as f64 / (to.worked - from.worked);
    let shares = (0..turns.len() - 1).step_by(BLOCK).map(|from| {
        let to = (from + BLOCK).min(turns.len() - 1);
        // One before each of its turns and one behind the last.
        let floor = &job[from..=to];
        rate(&turns[from], &turns[to]) / (floor.iter().sum::<f64>() / floor.len() as f64)
    });
    Ok(Beside {
        shares: shares.collect(),
        batch: rate(first, end),
        whole: last.done as f64 / last.worked,
        job,
    })
}

/// A running batch. It is ended when dropped.
struct Batch {
    child: Child,
    folder: TempDir,
    /// Its journal as far as it was read, and the lines in that.
    journal: Option<File>,
    lines: usize,
    worked: Duration,
}

impl Batch {
    fn start(inputs: &[String], words: &[String]) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir().map_err(BenchError::failed)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("batch").args(inputs).arg("-o").arg(folder.path().join("answers.jsonl"));
        command.args(["--quiet", "--set", SILENCE]).args(words).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().map_err(BenchError::failed)?;
        guard::watch(Pid::from_raw(child.id().cast_signed()));
        Ok(Self { child, folder, journal: None, lines: 0, worked: Duration::ZERO })
    }

    /// Lets it work for one turn. Returns how it ended, if it did.
    fn work(&mut self, turn: Duration) -> Result<Option<ExitStatus>, BenchError> {
        let begun = Instant::now();
        let mut ended = None;
        while ended.is_none() && begun.elapsed() < turn {
            std::thread::sleep(LOOK.min(turn.saturating_sub(begun.elapsed())));
            ended = self.child.try_wait().map_err(BenchError::failed)?;
        }
        self.worked += begun.elapsed();
        Ok(ended)
    }

    /// Does something else while all its processes stand still.
    fn pause<T>(&self, meanwhile: impl FnOnce() -> Result<T, BenchError>) -> Result<T, BenchError> {
        let stopped = Stopped::tree(self.child.id())?;
        let done = meanwhile();
        drop(stopped);
        done
    }

    /// Pictures that are answered: lines of its journal but the first, which says what answers depend on.
    fn done(&mut self) -> Result<usize, BenchError> {
        let path: PathBuf = self.folder.path().join("answers.jsonl.part");
        if self.journal.is_none() {
            self.journal = File::open(&path).ok();
        }
        let mut more = Vec::new();
        if let Some(journal) = &mut self.journal {
            journal.read_to_end(&mut more).map_err(|error| BenchError::file(&path, &error))?;
        }
        self.lines += more.iter().filter(|byte| **byte == b'\n').count();
        Ok(self.lines.saturating_sub(1))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Our own child, not yet waited for: the number is still its own.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        }
        let _ = self.child.wait();
        guard::forget();
    }
}

/// Processes that stand still until this is dropped.
struct Stopped;

impl Stopped {
    /// The process and all that descend from it: parents first, so that none of them starts another meanwhile.
    fn tree(root: u32) -> Result<Self, BenchError> {
        let mut stopped = vec![];
        let mut left = vec![Pid::from_raw(root.cast_signed())];
        let this = Self;
        while let Some(pid) = left.pop() {
            match kill(pid, Signal::SIGSTOP) {
                Ok(()) => stopped.push(pid),
                Err(Errno::ESRCH) => continue,
                Err(error) => {
                    return Err(BenchError::failed(format!("process {pid} does not stop: {error}")));
                }
            }
            guard::stopped(&stopped);
            left.extend(children(pid));
        }
        Ok(this)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        guard::go_on();
    }
}

/// None of a process that was killed meanwhile.
fn children(of: Pid) -> Vec<Pid> {
    let threads =
        Path::new("/proc").join(of.to_string()).join("task").read_dir().into_iter().flatten().flatten();
    let lists =
        threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests;
