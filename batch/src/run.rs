//! A run from the listing to the answer file: some threads read, the caller's asks the service about several pictures at once and
//! writes down what it says. Few are read ahead, so memory does not grow with the number of pictures.

use crate::client::{Client, Endpoint};
use crate::formats::{self, Format};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::reading::{self, Named, READERS, Reading, Task};
use crate::record::Record;
use crate::sorting::Sorting;
use crate::sources::{Item, Listing};
use crate::{BatchError, drawing};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, channel};

/// How often it is looked whether to stop and whether the service lives.
const LOOK: Duration = Duration::from_millis(200);
/// Most files of one request: as many as a frontend has in service of one list, so that all that is on its way is in service.
pub const TOGETHER: usize = 8;
/// Requests at once for files: while one is answered the others keep decode threads and lanes busy.
const LISTS: usize = 4;
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
    /// Pictures on their way at once.
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

/// Does what is left to do. `start` brings the service up, one that reads from these folders itself if that can be; it is not
/// called when nothing is left.
/// `alive` says why the service has ended, if it has.
///
/// # Errors
/// Inputs, journal or answer file that cannot be used; a service that cannot.
pub fn run(
    plan: &Plan<'_>,
    start: impl FnOnce(&[PathBuf]) -> Result<Endpoint, BatchError>,
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
    // What is drawn or sorted is read here anyway.
    let is_read_here = plan.draw.is_some() || plan.sort.is_some();
    let folders = if is_read_here { Vec::new() } else { listing.folders() };
    let items = listing.items;
    let left: Vec<&Item> = items.iter().filter(|item| !journal.has(&item.name)).collect();
    let before = items.len() - left.len();
    plan.progress.tell(&begins(items.len(), before, listing.passed_over));
    let mut end = End::Complete;
    if !left.is_empty() {
        let endpoint = start(&folders)?;
        plan.progress.begin(before, items.len());
        end = work(plan, &endpoint, &left, &mut journal, before, alive)?;
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

fn work(
    plan: &Plan<'_>,
    endpoint: &Endpoint,
    left: &[&Item],
    journal: &mut Journal,
    before: usize,
    alive: &mut dyn FnMut() -> Option<String>,
) -> Result<End, BatchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| BatchError::Service(error.to_string()))?;
    let reading = &Reading::new(left, plan.longest, &endpoint.roots);
    std::thread::scope(|scope| {
        let (tasks, queue) = channel(READERS.min(plan.jobs));
        for _ in 0..READERS.min(left.len()) {
            let tasks = tasks.clone();
            scope.spawn(move || reading.read(&tasks));
        }
        drop(tasks);
        // However it ends, the queue is gone then, and the readers with it.
        let books = Books { plan, journal, done: before, named: 0 };
        runtime.block_on(ask((plan, endpoint, reading), queue, books, alive))
    })
}

/// Asks about what comes out of the queue, until everything has been answered or something ends it.
async fn ask(
    (plan, endpoint, reading): (&Plan<'_>, &Endpoint, &Reading<'_>),
    mut queue: Receiver<Result<Task<'_>, BatchError>>,
    mut books: Books<'_>,
    alive: &mut dyn FnMut() -> Option<String>,
) -> Result<End, BatchError> {
    // Set by a signal, and nothing is read on the strength of it, so no ordering is needed.
    let stopped = || plan.stop.load(Ordering::Relaxed);
    let client = Client::new(endpoint, plan.query, &stopped);
    let sorting = match plan.sort {
        Some(folder) => Some(Sorting::new(folder, client.model().await?, books.journal.begun())?),
        None => None,
    };
    let extras = Arc::new(Extras { draw: plan.draw.map(Path::to_owned), sorting });
    let mut asked = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK);
    let mut is_open = true;
    let (mut under_way, begun, before) = (0, Instant::now(), books.done);
    while is_open || !asked.is_empty() {
        tokio::select! {
            Some((pictures, answer)) = asked.next() => {
                under_way -= pictures;
                let (records, rest): (Vec<Record>, Result<(), BatchError>) = answer;
                if let Some(end) = books.enter(&records)? {
                    return Ok(end);
                }
                rest?;
            }
            task = queue.recv(), if is_open && under_way < plan.jobs => match task {
                // What is on its way comes to an end, nothing else begins.
                Some(task) if !stopped() => {
                    let task = task?;
                    let pictures = task.pictures();
                    under_way += pictures;
                    let answer = answer((&client, plan.longest), &extras, task);
                    asked.push(async move { (pictures, answer.await) });
                }
                _ => is_open = false,
            },
            _ = look.tick() => {
                plan.progress.at(books.done, books.journal.bad());
                is_open &= !stopped();
                if let Some(why) = alive() {
                    return Err(BatchError::Service(why));
                }
                reading.take_together(together(books.done - before, begun.elapsed(), plan.jobs));
            }
        }
    }
    Ok(if stopped() { End::Stopped } else { End::Complete })
}

/// So many files to one request: what half a second answers, lest a slow model's answers come late and in bursts.
fn together(done: usize, took: Duration, jobs: usize) -> usize {
    let in_half_a_second = done as f64 / took.as_secs_f64().max(1.0) / 2.0;
    (in_half_a_second as usize).min(jobs / LISTS).clamp(1, TOGETHER)
}

/// Where what comes is written down.
struct Books<'a> {
    plan: &'a Plan<'a>,
    journal: &'a mut Journal,
    /// Pictures in the journal.
    done: usize,
    /// Bad pictures that the user was told of.
    named: usize,
}

impl Books<'_> {
    /// Puts records into the journal, and says if one ends the run: that one and what follows is not entered.
    fn enter(&mut self, records: &[Record]) -> Result<Option<End>, BatchError> {
        let plan = self.plan;
        if plan.format == Format::Coco && records.iter().any(|record| record.classes.is_some()) {
            return Err(BatchError::Usage(
                "a classifier finds no boxes: choose .jsonl or .csv instead of COCO".to_owned(),
            ));
        }
        let mut end = None;
        let mut entered = records;
        for (at, record) in records.iter().enumerate() {
            let Some(fault) = &record.error else { continue };
            let text = format!("{}: {}: {}", record.image, fault.code, fault.detail);
            if plan.strict {
                end = Some(End::Strict(text));
                entered = &records[..at];
                break;
            }
            self.named += 1;
            if self.named <= NAMED {
                plan.progress.tell(&text);
            }
        }
        self.journal.write(entered)?;
        self.done += entered.len();
        Ok(end)
    }
}

/// What is done with a picture besides.
struct Extras {
    draw: Option<PathBuf>,
    sorting: Option<Sorting>,
}

impl Extras {
    fn finish(&self, record: &Record, bytes: &[u8]) -> Result<(), BatchError> {
        if let Some(folder) = &self.draw {
            drawing::draw(folder, record, bytes)?;
        }
        if let Some(sorting) = &self.sorting {
            sorting.sort(record, bytes)?;
        }
        Ok(())
    }
}

/// The records of a task, once everything is done with its pictures, and what ends the run. Without those that were stopped meanwhile.
async fn answer(
    (client, longest): (&Client<'_>, u64),
    extras: &Arc<Extras>,
    task: Task<'_>,
) -> (Vec<Record>, Result<(), BatchError>) {
    let files = match task {
        Task::Picture(name, bytes) => return sorted_out([one(client, extras, name, bytes).await]),
        Task::Files(files) => files,
    };
    let records = client.detect_files(&files).await;
    let rest = files.iter().zip(&records).filter(|(_, record)| record.is_none());
    let alone = rest.map(async |(Named { name, path }, _)| {
        let path = path.to_path_buf();
        let bytes = on_a_thread(move || reading::file(&path, longest)).await;
        one(client, extras, name, bytes).await
    });
    let alone = join_all(alone).await;
    sorted_out(records.into_iter().flatten().map(|record| Ok(Some(record))).chain(alone))
}

/// The records there are, and the first error.
fn sorted_out(
    outcomes: impl IntoIterator<Item = Result<Option<Record>, BatchError>>,
) -> (Vec<Record>, Result<(), BatchError>) {
    let mut end = Ok(());
    let records = outcomes.into_iter().filter_map(|outcome| {
        outcome.unwrap_or_else(|error| {
            end = std::mem::replace(&mut end, Ok(())).and(Err(error));
            None
        })
    });
    (records.collect(), end)
}

/// The record of a picture, once everything is done with it. `None` when it was stopped meanwhile.
async fn one(
    client: &Client<'_>,
    extras: &Arc<Extras>,
    name: &str,
    bytes: io::Result<Bytes>,
) -> Result<Option<Record>, BatchError> {
    let bytes = match bytes {
        Ok(bytes) if bytes.is_empty() => {
            return Ok(Some(Record::bad(name, "not_an_image", "the file is empty")));
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Ok(Some(Record::bad(name, "body_too_large", error.to_string())));
        }
        Err(error) => return Ok(Some(Record::bad(name, "unreadable", error.to_string()))),
    };
    let Some(record) = client.detect(name, &bytes).await? else { return Ok(None) };
    if extras.draw.is_none() && extras.sorting.is_none() {
        return Ok(Some(record));
    }
    let extras = extras.clone();
    // Decoding and encoding take as long as the service does.
    on_a_thread(move || extras.finish(&record, &bytes).map(|()| record)).await.map(Some)
}

/// Does what the thread of all requests must not wait for.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    // Nobody cancels it: what else there is is a panic.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
pub mod tests;
