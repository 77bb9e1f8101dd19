//! The threads on which a frontend decodes, resizes and reads big outputs, so that the runtime's one thread is
//! free for sockets and seats.
//!
//! A fixed number of threads, jobs in the order of their arrival, those that free a seat or a picture first.
//! Knows nothing of what a job does; each thread keeps a [`Bench`] whose buffers jobs reuse.

use crate::error::{Code, RequestError};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use vision::decode::Buffers;
use vision::picture::Picture;
use vision::preprocess::Scratch;

/// What a thread keeps from job to job.
#[derive(Debug, Default)]
pub struct Bench {
    /// Buffers of the decoders.
    pub buffers: Buffers,
    /// Buffers of the resizer.
    pub scratch: Scratch,
    /// A picture whose buffer can be used again.
    pub spare: Picture,
    /// A buffer for short files.
    pub file: Vec<u8>,
}

/// Bytes of pixels that a thread keeps for the next picture: four megapixels.
const KEEP: usize = 12 << 20;

impl Bench {
    /// Puts a picture's buffer aside for the next one.
    pub fn keep(&mut self, mut picture: Picture) {
        picture.recycle(KEEP);
        if picture.rgb.capacity() > self.spare.rgb.capacity() {
            self.spare = picture;
        }
    }
}

/// When a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Behind all others: the start of a request.
    Arrival,
    /// Before all starts: the job goes on with something that holds a seat or a picture.
    Soon,
}

type Job = Box<dyn FnOnce(&mut Bench) + Send>;

#[derive(Default)]
struct Queue {
    arrivals: VecDeque<Job>,
    soon: VecDeque<Job>,
    /// Threads that sleep: to wake nobody costs a system call, too.
    asleep: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Jobs run outside the lock, so a poisoned queue is a whole queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.soon.pop_front() {
                return Some(job);
            }
            if let Some(job) = queue.arrivals.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.asleep += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.asleep -= 1;
        }
    }
}

/// The threads. Dropping the pool ends them after the jobs they have.
pub struct Pool {
    shared: Arc<Shared>,
    threads: usize,
}

impl Pool {
    /// Starts `threads` threads.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        let pool = Self { shared: Arc::new(Shared::default()), threads };
        for index in 0..threads {
            let shared = pool.shared.clone();
            std::thread::Builder::new().name(format!("decode-{index}")).spawn(move || {
                let mut bench = Bench::default();
                while let Some(job) = shared.next() {
                    // The job's own result channel tells its request; what it left in the buffers is not trusted.
                    if catch_unwind(AssertUnwindSafe(|| job(&mut bench))).is_err() {
                        bench = Bench::default();
                    }
                }
            })?;
        }
        Ok(pool)
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Leaves a job to be done; what becomes of it is the job's own business.
    pub fn push(&self, turn: Turn, job: impl FnOnce(&mut Bench) + Send + 'static) {
        let job: Job = Box::new(job);
        let asleep = {
            let mut queue = self.shared.lock();
            match turn {
                Turn::Arrival => queue.arrivals.push_back(job),
                Turn::Soon => queue.soon.push_back(job),
            }
            queue.asleep
        };
        if asleep > 0 {
            self.shared.ready.notify_one();
        }
    }

    /// Does a job and returns what it makes. When the caller stops waiting, a job that has not begun is skipped
    /// and the result of one that has is dropped.
    ///
    /// # Errors
    /// `internal` when the job panicked.
    pub async fn run<T, F>(&self, turn: Turn, job: F) -> Result<T, RequestError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Bench) -> T + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        self.push(turn, move |bench| {
            if !done.is_closed() {
                // An error is the result itself: dropping it gives back whatever it holds.
                let _ = done.send(job(bench));
            }
        });
        result.await.map_err(|_| Code::Internal.because("the request could not be worked on"))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

#[cfg(test)]
mod tests;
