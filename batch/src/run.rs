//! A run from the listing to the answer file: one thread feeds, some ask the service, the caller's writes down. Every queue holds
//! as many pictures as there are workers, so memory does not grow with the number of pictures.

use crate::client::Client;
use crate::formats::{self, Format};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::record::Record;
use crate::sorting::Sorting;
use crate::sources::{Item, Listing, Place};
use crate::{BatchError, archive, drawing};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked whether to stop and whether the service lives.
const LOOK: Duration = Duration::from_millis(200);
/// So many bad pictures are named; all of them stand in the answers.
const NAMED: usize = 10;

/// What is to be done.
pub struct Plan<'a> {
    /// Folders, patterns, lists, archives, pictures.
    pub inputs: &'a [String],
    /// The answer file.
    pub output: &'a Path,
    /// Its form.
    pub format: Format,
    /// Digest of what the answers depend on.
    pub of: &'a str,
    /// An earlier run's answers and journal are thrown away.
    pub anew: bool,
    /// The first bad picture ends the run.
    pub strict: bool,
    /// Folder for pictures with their boxes.
    pub draw: Option<&'a Path>,
    /// Folder for pictures sorted by what was found in them.
    pub sort: Option<&'a Path>,
    /// Query of each request, without its question mark.
    pub query: &'a str,
    /// Requests at once.
    pub jobs: usize,
    /// Longest file that the service takes.
    pub longest: u64,
    /// The display.
    pub progress: &'a Progress,
    /// Somebody wants the run to stop.
    pub stop: &'a AtomicBool,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Pictures there are.
    pub total: usize,
    /// With an answer or an error in the file.
    pub done: usize,
    /// Without an answer among those.
    pub bad: usize,
    /// Done by this run.
    pub now: usize,
    /// How long this run took, listing and file included.
    pub took: Duration,
    /// Why it ended.
    pub end: End,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is done and stands in the answer file.
    Complete,
    /// It was told to stop; the same command goes on.
    Stopped,
    /// A bad picture, and the run was strict.
    Strict(String),
}

/// Does what is left to do. `start` brings the service up and gives its address; it is not called when nothing is left.
/// `alive` says why the service has ended, if it has.
///
/// # Errors
/// Inputs, journal or answer file that cannot be used; a service that cannot.
pub fn run(
    plan: &Plan<'_>,
    start: impl FnOnce() -> Result<String, BatchError>,
    alive: &mut dyn FnMut() -> Option<String>,
) -> Result<Summary, BatchError> {
    let begun = Instant::now();
    let part = Journal::beside(plan.output);
    if plan.output.exists() && !part.exists() && !plan.anew {
        return Err(BatchError::Usage(format!(
            "{}: exists and is complete; --restart writes it anew",
            plan.output.display()
        )));
    }
    let listing = Listing::of(plan.inputs)?;
    if listing.items.is_empty() {
        return Err(BatchError::Usage("there is no picture in what was named".to_owned()));
    }
    let mut journal = Journal::open(&part, plan.of, plan.anew)?;
    let items = listing.items;
    let left: Vec<&Item> = items.iter().filter(|item| !journal.has(&item.name)).collect();
    let before = items.len() - left.len();
    plan.progress.tell(&begins(items.len(), before, listing.passed_over));
    let mut end = End::Complete;
    if !left.is_empty() {
        let address = start()?;
        plan.progress.begin(before, items.len());
        end = work(plan, &address, &left, &mut journal, before, alive)?;
    }
    plan.progress.end();
    let left = items.iter().filter(|item| !journal.has(&item.name)).count();
    let (done, bad) = (items.len() - left, journal.bad());
    if end == End::Complete {
        formats::write(plan.format, plan.output, &items, &journal)?;
        journal.remove()?;
    }
    Ok(Summary { total: items.len(), done, bad, now: done - before, took: begun.elapsed(), end })
}

fn begins(total: usize, before: usize, passed_over: usize) -> String {
    let mut text = format!("{total} picture{}", if total == 1 { "" } else { "s" });
    if passed_over > 0 {
        text += &format!(", {passed_over} other files passed over");
    }
    if before > 0 {
        text += &format!(", {before} done before");
    }
    text
}

/// One picture to ask about.
struct Task {
    name: String,
    bytes: Source,
}

enum Source {
    File(PathBuf),
    Bytes(io::Result<Vec<u8>>),
}

fn work(
    plan: &Plan<'_>,
    address: &str,
    left: &[&Item],
    journal: &mut Journal,
    before: usize,
    alive: &mut dyn FnMut() -> Option<String>,
) -> Result<End, BatchError> {
    let question = if plan.query.is_empty() { "" } else { "?" };
    let url = format!("http://{address}/detect{question}{}", plan.query);
    // Ours; the plan's is set by a signal. Both are only ever set, and nothing is read on the strength of them, so no
    // ordering is needed.
    let over = AtomicBool::new(false);
    let stopped = || over.load(Ordering::Relaxed) || plan.stop.load(Ordering::Relaxed);
    let stopped: &(dyn Fn() -> bool + Sync) = &stopped;
    let sorting = match plan.sort {
        Some(folder) => {
            Some(Sorting::new(folder, Client::new(&url, stopped).model(address)?, journal.begun())?)
        }
        None => None,
    };
    let sorting = sorting.as_ref();
    std::thread::scope(|scope| {
        let (tasks, queue) = sync_channel::<Task>(plan.jobs);
        let (results, answers) = sync_channel::<Result<Record, BatchError>>(plan.jobs);
        let queue = std::sync::Arc::new(Mutex::new(queue));
        let failed = results.clone();
        scope.spawn(move || {
            if let Err(error) = feed(left, plan.longest, &tasks, stopped) {
                let _ = failed.send(Err(error)); // nobody waits: the run is over
            }
        });
        for _ in 0..plan.jobs {
            let (results, queue, url) = (results.clone(), queue.clone(), &url);
            scope
                .spawn(move || serve((plan, sorting), &Client::new(url, stopped), &queue, &results, stopped));
        }
        drop((results, queue));
        let outcome = write_down(plan, &answers, journal, before, alive);
        over.store(true, Ordering::Relaxed);
        // Whoever still has a result finds nobody to take it.
        drop(answers);
        outcome
    })
}

/// Puts what comes into the journal, until everything has come or something ends it.
fn write_down(
    plan: &Plan<'_>,
    answers: &Receiver<Result<Record, BatchError>>,
    journal: &mut Journal,
    before: usize,
    alive: &mut dyn FnMut() -> Option<String>,
) -> Result<End, BatchError> {
    let mut done = before;
    let mut named = 0;
    let mut looked = Instant::now();
    loop {
        match answers.recv_timeout(LOOK) {
            Ok(record) => {
                let record = record?;
                if let Some(fault) = &record.error {
                    let text = format!("{}: {}: {}", record.image, fault.code, fault.detail);
                    if plan.strict {
                        return Ok(End::Strict(text));
                    }
                    named += 1;
                    if named <= NAMED {
                        plan.progress.tell(&text);
                    }
                }
                if plan.format == Format::Coco && record.classes.is_some() {
                    return Err(BatchError::Usage(
                        "a classifier finds no boxes: choose .jsonl or .csv instead of COCO".to_owned(),
                    ));
                }
                journal.write(&record)?;
                done += 1;
                plan.progress.at(done, journal.bad());
            }
            Err(RecvTimeoutError::Timeout) => plan.progress.at(done, journal.bad()),
            Err(RecvTimeoutError::Disconnected) => {
                // Every worker has gone: all is done, or they were told to stop.
                let stop = plan.stop.load(Ordering::Relaxed);
                return Ok(if stop { End::Stopped } else { End::Complete });
            }
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if let Some(why) = alive() {
                return Err(BatchError::Service(why));
            }
        }
    }
}

/// Hands out the pictures in order. Archives are read here, front to back; files by whoever sends them.
fn feed(
    left: &[&Item],
    longest: u64,
    tasks: &SyncSender<Task>,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<(), BatchError> {
    let mut rest = left;
    while let Some(item) = rest.first() {
        let Place::Member(path, _) = &item.place else {
            let Place::File(path) = &item.place else { unreachable!("there are two places") };
            let task = Task { name: item.name.clone(), bytes: Source::File(path.clone()) };
            if stopped() || tasks.send(task).is_err() {
                return Ok(());
            }
            rest = &rest[1..];
            continue;
        };
        let same = |item: &&Item| matches!(&item.place, Place::Member(other, _) if other == path);
        let count = rest.iter().take_while(|item| same(item)).count();
        let mut wanted: HashMap<usize, &str> = rest[..count]
            .iter()
            .filter_map(|item| match item.place {
                Place::Member(_, number) => Some((number, item.name.as_str())),
                Place::File(_) => None,
            })
            .collect();
        archive::visit(path, &mut |number, _, size, reader| {
            if let Some(name) = wanted.remove(&number) {
                let task =
                    Task { name: name.to_owned(), bytes: Source::Bytes(limited(reader, size, longest)) };
                if stopped() || tasks.send(task).is_err() {
                    return Ok(false);
                }
            }
            Ok(!wanted.is_empty())
        })?;
        rest = &rest[count..];
    }
    Ok(())
}

/// Asks the service about one picture after the other.
fn serve(
    (plan, sorting): (&Plan<'_>, Option<&Sorting<'_>>),
    client: &Client<'_>,
    queue: &Mutex<Receiver<Task>>,
    results: &SyncSender<Result<Record, BatchError>>,
    stopped: &(dyn Fn() -> bool + Sync),
) {
    loop {
        let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = task else { return };
        if stopped() {
            continue; // lets the feeder go, too
        }
        let result = match answer(plan, sorting, client, task) {
            Ok(None) => continue,
            Ok(Some(record)) => Ok(record),
            Err(error) => Err(error),
        };
        if results.send(result).is_err() {
            // The run is over. What the feeder has handed out is taken all the same, so that it does not wait.
            while queue.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {}
            return;
        }
    }
}

fn answer(
    plan: &Plan<'_>,
    sorting: Option<&Sorting<'_>>,
    client: &Client<'_>,
    task: Task,
) -> Result<Option<Record>, BatchError> {
    let Task { name, bytes } = task;
    let bytes = match bytes {
        Source::Bytes(bytes) => bytes,
        Source::File(path) => read_file(&path, plan.longest),
    };
    let bytes = match bytes {
        Ok(bytes) if bytes.is_empty() => {
            return Ok(Some(Record::bad(&name, "not_an_image", "the file is empty")));
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Ok(Some(Record::bad(&name, "body_too_large", error.to_string())));
        }
        Err(error) => return Ok(Some(Record::bad(&name, "unreadable", error.to_string()))),
    };
    let record = client.detect(&name, &bytes)?;
    if let (Some(folder), Some(record)) = (plan.draw, &record) {
        drawing::draw(folder, record, &bytes)?;
    }
    if let (Some(sorting), Some(record)) = (sorting, &record) {
        sorting.sort(record, &bytes)?;
    }
    Ok(record)
}

fn read_file(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let facts = std::fs::metadata(path)?;
    if !facts.is_file() {
        return Err(io::Error::other("is no file")); // a pipe would be waited for
    }
    limited(&mut File::open(path)?, facts.len(), longest)
}

/// All of a file or member, unless it is longer than the service takes.
fn limited(reader: &mut dyn Read, size: u64, longest: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let text = format!("the file is longer than {longest} bytes (inputs.max_image)");
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    if size > longest {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    reader.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
pub mod tests;
