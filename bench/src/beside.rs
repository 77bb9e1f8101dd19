//! A batch beside the floor: the two work in turns on the same cores, each stopped while the other works, so that a machine
//! that drifts drifts for both. Owns the batch's processes for that time; that they stand still now and then does not count
//! as their time. (The batch itself goes by the clock where it chooses how many files of a slow model go into one request.)

use crate::BenchError;
use crate::floor::{Floor, Part};
use crate::service::guard;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One turn as a rule: long beside the milliseconds in which caches fill anew, short beside what a machine drifts in.
pub const TURN: Duration = Duration::from_secs(2);
/// One turn at most: it may be stopped for that long, and clients that wait for answers see it.
const LONGEST_TURN: Duration = Duration::from_secs(3);
/// Nobody is stuck who was made to stand still, whatever the configuration says.
const PATIENCE: [&str; 3] =
    ["service.frontend_silence=10m", "service.engine_silence=10m", "engine.run_timeout=0s"];
/// How long a batch takes at most to end when it is told to.
const STOP: Duration = Duration::from_secs(40);
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
    /// Images a second of the batch's turns from the end of the one with its first answers to the end of the last before all were there.
    pub batch: f64,
    /// Images a second of the whole batch, from its command to its end.
    pub whole: f64,
    /// Of each block of those turns, as a share of the floor's between them.
    pub shares: Vec<f64>,
}

/// Runs a batch over these inputs, with these further words of its command line, and the floor whenever it is not its turn.
///
/// # Errors
/// A turn that is too long, a batch that fails, or ends before there is a turn to measure.
pub fn batch(
    floor: &Floor,
    turn: Duration,
    inputs: &[String],
    words: &[String],
) -> Result<Beside, BenchError> {
    if turn.is_zero() || turn > LONGEST_TURN {
        let reason = format!("--duration: a turn of {turn:?} is not between 0 and {LONGEST_TURN:?}");
        return Err(BenchError::usage(reason));
    }
    let mut batch = Batch::start(inputs, words)?;
    let (mut reached, mut job) = (Vec::new(), Vec::new());
    loop {
        let begun = Instant::now();
        let ended = batch.work(turn)?;
        let stopped = if ended.is_none() { Some(Stopped::tree(batch.child.id())?) } else { None };
        batch.worked += begun.elapsed();
        if let Some(status) = ended {
            if !status.success() {
                return Err(BenchError::failed(format!("the batch ended with {status}")));
            }
            break;
        }
        reached.push(Reached { worked: batch.worked.as_secs_f64(), done: batch.answered()? });
        job.push(floor.measure(Part::Job, turn)?);
        drop(stopped);
    }
    let whole = Reached { worked: batch.worked.as_secs_f64(), done: batch.pictures()? };
    compare(&reached, &job, whole)
}

/// Turns of the batch against the floor's between them: `job[k]` is of the time after `reached[k]`.
fn compare(reached: &[Reached], job: &[f64], whole: Reached) -> Result<Beside, BenchError> {
    // Until there are answers it starts, and when all are there it ends.
    let from = reached.iter().take_while(|turn| turn.done == 0).count();
    let to = reached.iter().take_while(|turn| turn.done < whole.done).count();
    let (turns, job) = (&reached[from.min(to)..to], &job[from.min(to)..to]);
    let [first, .., last] = turns else {
        let reason =
            format!("the batch was over after {:.1} s: too few pictures to be measured", whole.worked);
        return Err(BenchError::usage(reason));
    };
    let rate = |from: &Reached, to: &Reached| (to.done - from.done) as f64 / (to.worked - from.worked);
    let count = turns.len() - 1;
    let shares = (0..(count / BLOCK).max(1)).map(|block| {
        // What is left over belongs to the last of them.
        let is_last = block + 1 >= count / BLOCK;
        let (from, to) = (block * BLOCK, if is_last { count } else { (block + 1) * BLOCK });
        // One before each of its turns and one behind the last.
        let floor = &job[from..=to];
        rate(&turns[from], &turns[to]) / (floor.iter().sum::<f64>() / floor.len() as f64)
    });
    Ok(Beside {
        shares: shares.collect(),
        batch: rate(first, last),
        whole: whole.done as f64 / whole.worked,
        job: job.to_vec(),
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
        command
            .args(["--quiet", "--strict"])
            .args(words)
            .args(PATIENCE.iter().flat_map(|key| ["--set", key]))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // A group of its own: Ctrl-C reaches this process alone, which then stops the batch once; and should this one be killed while
        // they stand still, the kernel tells a group without a parent to go on, and to end.
        let child = command.process_group(0).spawn().map_err(BenchError::failed)?;
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
        Ok(ended)
    }

    /// Pictures that are answered so far: lines of its journal but the first, which says what answers depend on.
    fn answered(&mut self) -> Result<usize, BenchError> {
        let path = self.folder.path().join("answers.jsonl.part");
        if self.journal.is_none() {
            self.journal = File::open(&path).ok();
        }
        let mut more = Vec::new();
        if let Some(journal) = &mut self.journal {
            journal.read_to_end(&mut more).map_err(|error| BenchError::file(&path, &error))?;
        }
        self.lines += lines(&more);
        Ok(self.lines.saturating_sub(1))
    }

    /// All its pictures, once it has ended.
    fn pictures(&self) -> Result<usize, BenchError> {
        let path = self.folder.path().join("answers.jsonl");
        std::fs::read(&path).map(|text| lines(&text)).map_err(|error| BenchError::file(&path, &error))
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

impl Drop for Batch {
    fn drop(&mut self) {
        let until = Instant::now() + STOP;
        if let Ok(None) = self.child.try_wait() {
            // Our own child, not yet waited for: the number is still its own.
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        }
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        guard::forget();
    }
}

/// Processes that stand still until this is dropped.
struct Stopped;

impl Stopped {
    /// The process and all that descend from it: parents first, so that none of them starts another meanwhile.
    fn tree(root: u32) -> Result<Self, BenchError> {
        let mut left = vec![Pid::from_raw(root.cast_signed())];
        let this = Self;
        while let Some(pid) = left.pop() {
            let stops =
                |error: &dyn Display| BenchError::failed(format!("process {pid} does not stop: {error}"));
            match guard::stop(pid) {
                Ok(()) => left.extend(children(pid).map_err(|error| stops(&error))?),
                // It was killed meanwhile.
                Err(Errno::ESRCH) => {}
                Err(error) => return Err(stops(&error)),
            }
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
fn children(of: Pid) -> io::Result<Vec<Pid>> {
    let process = Path::new("/proc").join(of.to_string());
    let mut found = Vec::new();
    for thread in process.join("task").read_dir().into_iter().flatten().flatten() {
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(list) => {
                found.extend(list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw))
            }
            // A thread that ended, unless it is the kernel that does not tell.
            Err(error) if thread.path().exists() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
