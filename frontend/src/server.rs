//! Sockets: who accepts the next connection, what a connection may cost, and how all of them end when the
//! frontend is drained. Owns no route.
//!
//! All frontends accept from the same listening sockets. A frontend whose connections are more than the least
//! loaded one's lets that one go first, for a moment: so connections spread evenly, and a frontend that hangs
//! delays a connection by milliseconds and loses none.

mod connection;
mod door;
mod gate;
mod stream;

pub(crate) use connection::network;
pub(crate) use door::Door;
pub(crate) use stream::Stream;

use crate::service::{Phase, Service};
use crate::watch;
use gate::Gate;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a frontend lets another go first before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Pause after an accept failed for want of descriptors or memory.
const OUT_OF_FDS: Duration = Duration::from_millis(100);
/// Descriptors that are never given to connections: segments, bells, fetches, files, logs.
const RESERVED_FDS: u64 = 256;
/// How long connections without a request stay open when the service closes: their clients may be sending one
/// this instant, and get an answer that ends the connection instead of a reset.
const GRACE: Duration = Duration::from_millis(500);
/// Before the end of the time to drain: what is not done by then is told so. At most a quarter of that time.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The open connections of this process.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicU32,
    by_address: Mutex<HashMap<IpAddr, u32>>,
    none: Notify,
}

impl Connections {
    fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// Counts a connection from there. Returns how many there are now.
    fn enter(&self, address: IpAddr) -> u32 {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        *count += 1;
        *count
    }

    /// That connection is closed.
    fn leave(&self, address: IpAddr) {
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = by_address.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    async fn all_closed(&self) {
        loop {
            let closed = self.none.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }
}

/// Makes the listening sockets the runtime's.
///
/// # Errors
/// When a descriptor is no listening TCP socket.
pub fn listeners(fds: Vec<OwnedFd>) -> io::Result<Vec<AsyncFd<TcpListener>>> {
    fds.into_iter()
        .map(|fd| {
            let listener = TcpListener::from(fd);
            listener.local_addr()?;
            listener.set_nonblocking(true)?;
            watch::readable(listener)
        })
        .collect()
}

/// Accepts connections from one listening socket until the service closes.
///
/// # Errors
/// When the socket cannot be waited for.
pub async fn accept(
    service: Arc<Service>,
    connections: Arc<Connections>,
    listener: AsyncFd<TcpListener>,
    door: Door,
) -> io::Result<()> {
    let max = max_connections(service.config.frontend.max_connections);
    let mut phase = service.phase();
    let mut gate = Gate::default();
    loop {
        let mut ready = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase >= Phase::Closing) => break,
            ready = listener.readable() => ready?,
        };
        if !gate.lets_pass(&service.board, service.slot) {
            if !is_readable(listener.get_ref()) {
                // Another frontend has taken it. A connection since then is a new event and not cleared.
                ready.clear_ready();
                gate.close();
                continue;
            }
            drop(ready);
            sleep(LOOK_AGAIN).await;
            continue;
        }
        gate.close();
        match ready.try_io(|listener| listener.get_ref().accept()) {
            Ok(Ok((stream, peer))) => connection::open(&service, &connections, stream, (peer, door), max),
            Ok(Err(error)) => {
                if is_exhaustion(&error) {
                    tracing::warn!(%error, "no connection can be accepted now");
                    sleep(OUT_OF_FDS).await;
                }
                // Anything else is the end of that one connection before it was accepted.
            }
            Err(_would_block) => {}
        }
    }
    // Whoever connected before now gets an answer: the queue is taken over once more.
    while connections.open() < max
        && let Ok((stream, peer)) = listener.get_ref().accept()
    {
        connection::open(&service, &connections, stream, (peer, door), max);
    }
    Ok(())
}

/// Ends all connections: each with its next answer, those without a request after a grace. Shortly before time is up what is
/// still under way is answered `draining`; those that do not end even then never mind. Returns whether all ended in time.
pub async fn drain(
    service: &Service,
    connections: &Connections,
    mut acceptors: JoinSet<io::Result<()>>,
    timeout: Duration,
) -> bool {
    let end = Instant::now() + timeout;
    service.enter(Phase::Closing);
    // They take what is in the queue and end by themselves.
    while acceptors.join_next().await.is_some() {}
    let grace = (Instant::now() + GRACE).min(end);
    if timeout_at(grace, connections.all_closed()).await.is_ok() {
        return true;
    }
    service.enter(Phase::Closed);
    if timeout_at(end - LAST_WORD.min(timeout / 4), connections.all_closed()).await.is_ok() {
        return true;
    }
    service.enter(Phase::Over);
    timeout_at(end, connections.all_closed()).await.is_ok()
}

fn is_readable(listener: &TcpListener) -> bool {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// As configured, or what the limit of open files leaves room for.
fn max_connections(configured: u32) -> u32 {
    use nix::sys::resource::{Resource, getrlimit};
    let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return configured };
    let room = soft.saturating_sub(RESERVED_FDS).max(soft / 4);
    configured.min(u32::try_from(room).unwrap_or(u32::MAX)).max(1)
}

#[cfg(test)]
mod tests;
