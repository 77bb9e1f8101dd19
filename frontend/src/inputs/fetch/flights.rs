//! One fetch for all who want the same address at the same time. It goes on for as long as anybody waits for it,
//! each until its own deadline, and ends with the last of them. Knows nothing of what a fetch does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

type Flight<T> = Shared<BoxFuture<'static, T>>;
type Table<T> = HashMap<String, (u64, WeakShared<BoxFuture<'static, T>>)>;

/// The fetches under way.
#[derive(Debug)]
pub(super) struct Flights<T: Clone> {
    table: Arc<Mutex<Table<T>>>,
    count: AtomicU64,
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self { table: Arc::default(), count: AtomicU64::new(0) }
    }
}

/// Takes a flight out of the table when it has landed or was given up.
struct Entry<T: Clone> {
    table: Arc<Mutex<Table<T>>>,
    key: String,
    number: u64,
}

impl<T: Clone> Drop for Entry<T> {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        // The next one to the same place may have begun already.
        if table.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            table.remove(&self.key);
        }
    }
}

fn lock<T: Clone>(table: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    // Entries come and go whole.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// The flight to `key` that is under way, or the one that `begin` makes; and whether it was under way.
    pub(super) fn join<F>(&self, key: &str, begin: impl FnOnce() -> F) -> (Flight<T>, bool)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut table = lock(&self.table);
        if let Some(flight) = table.get(key).and_then(|(_, flight)| flight.upgrade()) {
            return (flight, true);
        }
        let number = self.count.fetch_add(1, Relaxed);
        let entry = Entry { table: self.table.clone(), key: key.to_owned(), number };
        let work = begin();
        let flight = async move {
            let _entry = entry;
            work.await
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            table.insert(key.to_owned(), (number, weak));
        }
        (flight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn all_share_one_flight_and_the_next_is_another() {
        let flights = Flights::<u32>::default();
        let (land, landed) = oneshot::channel();
        let (first, joined) = flights.join("a", || async { landed.await.unwrap_or(0) });
        assert!(!joined);
        let others: Vec<_> = (0..5).map(|_| flights.join("a", || async { 9 })).collect();
        assert!(others.iter().all(|(_, joined)| *joined));
        assert!(!flights.join("b", || async { 8 }).1, "another address is another flight");
        land.send(7).expect("somebody waits");
        for flight in others.into_iter().map(|(flight, _)| flight).chain([first]) {
            assert_eq!(flight.await, 7);
        }
        let (next, joined) = flights.join("a", || async { 6 });
        assert_eq!((next.await, joined), (6, false));
        assert!(lock(&flights.table).is_empty());
    }

    #[tokio::test]
    async fn the_last_to_leave_ends_it() {
        let flights = Flights::<u32>::default();
        let (alive, mut ended) = oneshot::channel::<()>();
        let (first, _) = flights.join("a", || async move {
            let _alive = alive;
            std::future::pending().await
        });
        let (second, _) = flights.join("a", || async { 1 });
        assert!(first.clone().now_or_never().is_none() && second.clone().now_or_never().is_none());
        drop(first);
        assert!(ended.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        drop(second);
        assert!(ended.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(lock(&flights.table).is_empty());
    }
}
