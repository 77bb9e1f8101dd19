//! Requests without end, in the background, while a test does something to the service: what failed is kept.

use crate::client::Client;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients at work. They end with [`Load::stop`].
pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    slowest: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Requests answered 200.
    pub answered: u64,
    /// The longest of them.
    pub slowest: Duration,
    /// What the others ended with.
    pub failures: Vec<String>,
}

impl Load {
    /// So many clients, each with one request at a time, posting this picture to the service at `url`.
    pub fn start(url: &str, clients: usize, picture: &[u8]) -> Self {
        let mut load = Self {
            over: Arc::default(),
            answered: Arc::default(),
            slowest: Arc::default(),
            failures: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..clients {
            let (client, picture) = (Client::new(url), picture.to_vec());
            let (over, answered, slowest, failures) =
                (load.over.clone(), load.answered.clone(), load.slowest.clone(), load.failures.clone());
            load.threads.push(std::thread::spawn(move || {
                while !over.load(Relaxed) {
                    let begun = Instant::now();
                    match client.try_detect(&picture) {
                        Ok(reply) if reply.status == 200 => {
                            answered.fetch_add(1, Relaxed);
                            slowest.fetch_max(begun.elapsed().as_millis() as u64, Relaxed);
                        }
                        Ok(reply) => failures.lock().expect("no panic").push(format!("{reply:?}")),
                        Err(error) => failures.lock().expect("no panic").push(error),
                    }
                }
            }));
        }
        load
    }

    /// How many were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Waits until so many more were answered: the service works.
    pub fn more(&self, requests: u64) {
        let goal = self.answered() + requests;
        crate::service::wait_for("more answers", || (self.answered() >= goal).then_some(()));
    }

    /// Ends the clients after their request.
    pub fn stop(self) -> Outcome {
        self.over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        Outcome {
            answered: self.answered.load(Relaxed),
            slowest: Duration::from_millis(self.slowest.load(Relaxed)),
            failures: std::mem::take(&mut *self.failures.lock().expect("no panic")),
        }
    }
}

impl Outcome {
    /// Nobody was refused, nobody lost a connection.
    pub fn assert_clean(&self, what: &str) {
        let shown = self.failures.len().min(3);
        assert!(
            self.failures.is_empty(),
            "{what}: {} of {} requests failed: {:#?}",
            self.failures.len(),
            self.answered,
            &self.failures[..shown]
        );
        assert!(self.answered > 0, "{what}: nothing was asked");
    }
}
