//! Who may fetch: so many at once, and so many of one host. Who waits for a busy host holds up no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns there are.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    per_host: usize,
    hosts: Arc<Hosts>,
}

/// The hosts that are fetched from, or waited for, now.
#[derive(Debug, Default)]
struct Hosts(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Hosts {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        // Entries come and go whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn. Given back when it is dropped; the place in the host's queue goes with it.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
    _queue: Queue,
}

/// A place in a host's queue; the last one takes the queue along.
#[derive(Debug)]
struct Queue {
    hosts: Arc<Hosts>,
    host: String,
    turns: Option<Arc<Semaphore>>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut hosts = self.hosts.lock();
        self.turns = None;
        // Permits were dropped before, so that the table's own is the only one left when nobody wants the host.
        if hosts.get(&self.host).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            hosts.remove(&self.host);
        }
    }
}

impl Turns {
    pub(super) fn new(all: usize, per_host: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), per_host, hosts: Arc::default() }
    }

    /// Waits for a turn with the host; `None` never comes while the turns exist.
    pub(super) async fn take(&self, host: &str) -> Option<Turn> {
        let turns = self
            .hosts
            .lock()
            .entry(host.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_host)))
            .clone();
        let queue = Queue { hosts: self.hosts.clone(), host: host.to_owned(), turns: Some(turns.clone()) };
        let of_host = turns.acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Turn { _all: of_all, _host: of_host, _queue: queue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_busy_host_holds_up_nobody_else() {
        let turns = Turns::new(3, 2);
        let slow = [turns.take("slow").await, turns.take("slow").await];
        let mut waiting = Box::pin(turns.take("slow"));
        assert!(waiting.as_mut().now_or_never().is_none(), "two of one host");
        let other = turns.take("other").await.expect("a turn");
        assert!(turns.take("third").now_or_never().is_none(), "three in all");
        drop(other);
        assert!(turns.take("third").now_or_never().is_some());
        drop(slow);
        assert!(waiting.now_or_never().is_some(), "the queue moves on");
        assert!(turns.hosts.lock().is_empty(), "and hosts that nobody wants are forgotten");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing() {
        let turns = Turns::new(1, 1);
        let held = turns.take("a").await;
        let mut waiting = Box::pin(turns.take("b"));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        assert_eq!(turns.hosts.lock().len(), 1);
        drop(held);
        assert!(turns.hosts.lock().is_empty());
        assert_eq!(turns.all.available_permits(), 1);
    }
}
