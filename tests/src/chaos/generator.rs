//! Requests at a constant rate, whatever becomes of those before (an open loop), or from so many clients with one at a
//! time each (a closed one). Times count from when a request was due, so that a stall is seen by everybody who had to wait for it.

use super::ledger::{self, Books, End, Entry, Ledger};
use super::wire::{Connection, Failure};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Most requests under way at once; one more is held back, and counts from when it was due.
const MOST: usize = 3000;
/// One request in so many comes on a connection of its own.
const FRESH: u64 = 4;
/// Of a client's thread: there may be thousands.
const STACK: usize = 128 << 10;

/// How requests come.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many a second.
    Open(f64),
    /// From so many clients.
    Closed(usize),
}

/// Requests under way.
pub struct Generator {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    /// Names this run's requests apart from another's.
    run: u32,
    ledger: Ledger,
    over: AtomicBool,
    jobs: Mutex<Jobs>,
    come: Condvar,
    idle: AtomicUsize,
}

#[derive(Default)]
struct Jobs {
    due: VecDeque<(u64, Instant)>,
    closed: bool,
    workers: Vec<JoinHandle<()>>,
}

impl Generator {
    /// Begins to ask the service at `address`.
    ///
    /// # Panics
    /// When that is no address.
    pub fn start(address: &str, pace: Pace) -> Self {
        static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let shared = Arc::new(Shared {
            address: address.parse().expect("an address and a port"),
            run: RUNS.fetch_add(1, Relaxed),
            ledger: Ledger::default(),
            over: AtomicBool::new(false),
            jobs: Mutex::default(),
            come: Condvar::new(),
            idle: AtomicUsize::new(0),
        });
        let threads = match pace {
            Pace::Open(rate) => {
                let shared = shared.clone();
                vec![spawn(move || shared.pace(rate))]
            }
            Pace::Closed(clients) => (0..clients)
                .map(|_| {
                    let shared = shared.clone();
                    spawn(move || shared.repeat())
                })
                .collect(),
        };
        Self { shared, threads }
    }

    /// The ledger, as it stands.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Requests answered with detections so far.
    pub fn answered(&self) -> u64 {
        self.shared.ledger.found()
    }

    /// Waits until so many more were answered: the service works.
    pub fn more(&self, requests: u64) {
        let goal = self.answered() + requests;
        crate::service::wait_for("more answers", || (self.answered() >= goal).then_some(()));
    }

    /// Sends no more, waits for what is under way, and closes the books.
    pub fn stop(self) -> Books {
        self.shared.over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        let workers = {
            let mut jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.closed = true;
            std::mem::take(&mut jobs.workers)
        };
        self.shared.come.notify_all();
        for worker in workers {
            worker.join().expect("a client does not panic");
        }
        self.shared.ledger.close()
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread")
}

impl Shared {
    /// Lays requests out at their times, and calls for another client when all are busy.
    fn pace(self: Arc<Self>, rate: f64) {
        let begun = Instant::now();
        for k in 1u32.. {
            let due = begun + Duration::from_secs_f64(f64::from(k) / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.over.load(Relaxed) {
                return;
            }
            let n = self.ledger.issue();
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.due.push_back((n, due));
            if self.idle.load(Relaxed) < jobs.due.len() && jobs.workers.len() < MOST {
                let shared = self.clone();
                jobs.workers.push(spawn(move || shared.work()));
            }
            drop(jobs);
            self.come.notify_one();
        }
    }

    fn work(&self) {
        let mut connection = None;
        loop {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let (n, due) = loop {
                if let Some(job) = jobs.due.pop_front() {
                    break job;
                }
                if jobs.closed {
                    return;
                }
                self.idle.fetch_add(1, Relaxed);
                jobs = self.come.wait(jobs).unwrap_or_else(PoisonError::into_inner);
                self.idle.fetch_sub(1, Relaxed);
            };
            drop(jobs);
            self.ask(&mut connection, n, due);
        }
    }

    fn repeat(&self) {
        let mut connection = None;
        while !self.over.load(Relaxed) {
            self.ask(&mut connection, self.ledger.issue(), Instant::now());
        }
    }

    /// One request, from its picture to its line in the ledger.
    fn ask(&self, kept: &mut Option<Connection>, n: u64, due: Instant) {
        let fresh = n.is_multiple_of(FRESH);
        let id = format!("chaos-{}-{n}", self.run);
        let request = request(&id, &ledger::picture(n), fresh);
        let mut port = 0;
        let mut attempt = |port: &mut u16| -> Result<End, Failure> {
            // Those that were closed while they were idle are found out before they are used, as every client does.
            let open = match kept.take() {
                Some(connection) if !fresh && connection.is_open()? => Some(connection),
                _ => None,
            };
            let mut connection = match open {
                Some(connection) => connection,
                None => Connection::open(self.address)?,
            };
            *port = connection.port();
            let answer = connection.ask(&request)?;
            let end = ledger::judge(n, &id, &answer);
            if !fresh && !answer.close {
                *kept = Some(connection);
            }
            Ok(end)
        };
        let result = match attempt(&mut port) {
            // A killed process takes its connections with it, and what was asked on them: that is no matter of idling.
            Err(Failure::Stale) if !self.ledger.is_excused(port) => {
                self.ledger.asked_again();
                attempt(&mut port)
            }
            result => result,
        };
        let end = result.unwrap_or_else(End::Failed);
        self.ledger.enter(Entry { n, due, ended: Instant::now(), port, end });
    }
}

/// A request with this picture.
pub fn request(id: &str, picture: &[u8], close: bool) -> Vec<u8> {
    let close = if close { "Connection: close\r\n" } else { "" };
    let mut bytes = format!(
        "POST /detect HTTP/1.1\r\nHost: chaos\r\nX-Request-Id: {id}\r\nContent-Type: image/png\r\n{close}Content-Length: {}\r\n\r\n",
        picture.len()
    )
    .into_bytes();
    bytes.extend(picture);
    bytes
}
