//! The generator's threads: each with a runtime, connections, and tallies of its own; the caller's thread watches and decides
//! when it is enough.

use super::figures::{self, Figures, Measured};
use super::line::{Answer, Fault, Line};
use super::tally::Tally;
use super::timer::{Schedule, Timer};
use super::{Live, Load, Pace, Until};
use crate::BenchError;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::HeaderValue;
use http::header::CONNECTION;
use nix::time::{ClockId, clock_gettime};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// After a connection failed, before the next one is tried.
const BREATH: Duration = Duration::from_millis(20);
/// How often the caller looks.
const LOOK: Duration = Duration::from_millis(100);

/// What all threads share. Relaxed throughout: these are figures and a deadline, and no memory hangs on them; the tallies
/// come back through `join`.
struct Shared {
    load: Load,
    start: Instant,
    /// Nanoseconds since `start` after which nothing is sent any more.
    end: AtomicU64,
    /// Requests that are still to be sent, of a count.
    left: AtomicU64,
    /// Which request is next.
    turn: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    /// Sum of the times of successes, in nanoseconds.
    busy: AtomicU64,
}

/// What a thread brings home.
struct Brought {
    /// By window.
    tallies: Vec<Tally>,
    /// Requests of an open loop that were due and never sent.
    unsent: u64,
    /// The thread's processor time while it counted, over that time.
    share: f64,
}

impl Shared {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn end(&self) -> Duration {
        Duration::from_nanos(self.end.load(Relaxed))
    }

    /// One of a counted number of requests; always, when they are not counted.
    fn ticket(&self) -> bool {
        !matches!(self.load.until, Until::Count(_))
            || self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// The window in which something falls that happened then.
    fn window(&self, at: Duration) -> Option<usize> {
        let at = at.checked_sub(self.load.warmup)?;
        match self.load.until {
            Until::Stable { window, .. } => Some((at.as_nanos() / window.as_nanos().max(1)) as usize),
            _ => Some(0),
        }
    }
}

/// Runs the threads and sums up.
pub(super) fn run(
    load: &Load,
    threads: usize,
    connections: usize,
    watch: &mut dyn FnMut(&Live),
) -> Result<Figures, BenchError> {
    let end = match load.until {
        Until::Count(_) => u64::MAX,
        Until::Time(time) => (load.warmup + time).as_nanos() as u64,
        Until::Stable { most, .. } => (load.warmup + most).as_nanos() as u64,
    };
    let shared = Arc::new(Shared {
        load: load.clone(),
        start: Instant::now(),
        end: AtomicU64::new(end),
        left: AtomicU64::new(if let Until::Count(n) = load.until { n } else { u64::MAX }),
        turn: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        busy: AtomicU64::new(0),
    });
    let handles: Vec<_> = (0..threads)
        .map(|index| {
            let shared = shared.clone();
            let own = connections / threads + usize::from(index < connections % threads);
            std::thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(move || thread(&shared, index, threads, own))
        })
        .collect::<Result<_, _>>()
        .map_err(BenchError::failed)?;
    let chosen = supervise(&shared, &mut || handles.iter().all(|h| h.is_finished()), watch);

    let mut whole = Tally::default();
    let (mut unsent, mut shares) = (0, Vec::new());
    for handle in handles {
        let brought = handle
            .join()
            .map_err(|_| BenchError::failed("a thread of the load generator panicked"))?
            .map_err(BenchError::failed)?;
        let windows = chosen.clone().unwrap_or(0..usize::MAX);
        for (_, tally) in brought.tallies.iter().enumerate().filter(|(k, _)| windows.contains(k)) {
            whole.merge(tally);
        }
        unsent += brought.unsent;
        shares.push(brought.share);
    }
    let seconds = match (load.until, &chosen) {
        (Until::Count(_), _) => whole.last.saturating_sub(load.warmup),
        (Until::Stable { window, .. }, Some(chosen)) => window * chosen.len() as u32,
        _ => shared.end().saturating_sub(load.warmup),
    }
    .as_secs_f64();
    let stable = match load.until {
        Until::Stable { .. } => Some(chosen.is_some()),
        _ => None,
    };
    Ok(figures::figures(load, &Measured { tally: whole, seconds, unsent, shares, stable }))
}

/// Watches until it is over. Of a measurement that ends when it is stable: the windows that count.
fn supervise(
    shared: &Shared,
    finished: &mut dyn FnMut() -> bool,
    watch: &mut dyn FnMut(&Live),
) -> Option<std::ops::Range<usize>> {
    let mut ticks: Vec<(Duration, u64)> = Vec::new();
    // Successes and their time at the end of each window.
    let mut marks: Vec<(u64, u64)> = Vec::new();
    let mut chosen = None;
    loop {
        let now = shared.now();
        let answered = shared.answered.load(Relaxed);
        ticks.push((now, answered));
        let from = ticks.iter().rev().find(|(at, _)| now.saturating_sub(*at) >= Duration::from_secs(1));
        let (at, before) = *from.unwrap_or(&ticks[0]);
        let seconds = now.saturating_sub(at).as_secs_f64();
        let rate = if seconds > 0.0 { (answered - before) as f64 / seconds } else { 0.0 };
        let measuring = now >= shared.load.warmup;
        watch(&Live { elapsed: now, measuring, answered, failed: shared.failed.load(Relaxed), rate });
        if ticks.len() > 32 {
            ticks.drain(..16);
        }
        if let Until::Stable { window, tolerance, .. } = shared.load.until
            && now >= shared.load.warmup + window * marks.len() as u32
            && chosen.is_none()
        {
            marks.push((answered, shared.busy.load(Relaxed)));
            if is_stable(&marks, tolerance) {
                let last = marks.len() - 1;
                chosen = Some(last - 3..last);
                shared.end.store(now.as_nanos() as u64, Relaxed);
            }
        }
        if finished() {
            return chosen;
        }
        let next = match shared.load.until {
            // Windows are looked at when they end, so that what is compared is what is counted.
            Until::Stable { window, .. } => {
                (shared.load.warmup + window * marks.len() as u32).saturating_sub(now).min(LOOK)
            }
            _ => LOOK,
        };
        std::thread::sleep(next.max(Duration::from_millis(1)));
    }
}

/// Whether the last three windows agree in rate and in mean time.
pub(super) fn is_stable(marks: &[(u64, u64)], tolerance: f64) -> bool {
    let Some(last) = marks.len().checked_sub(4) else { return false };
    let windows: Vec<(f64, f64)> = marks[last..]
        .windows(2)
        .map(|pair| {
            let (count, time) = ((pair[1].0 - pair[0].0) as f64, (pair[1].1 - pair[0].1) as f64);
            (count, if count > 0.0 { time / count } else { 0.0 })
        })
        .collect();
    let agree = |values: [f64; 3]| {
        let mean = values.iter().sum::<f64>() / 3.0;
        mean > 0.0 && values.iter().all(|value| (value / mean - 1.0).abs() <= tolerance)
    };
    agree([windows[0].0, windows[1].0, windows[2].0]) && agree([windows[0].1, windows[1].1, windows[2].1])
}

fn cpu() -> Duration {
    // A clock that every Linux has.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

fn thread(shared: &Shared, index: usize, threads: usize, connections: usize) -> std::io::Result<Brought> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let own = Own { shared, tallies: RefCell::new(vec![Tally::default()]), from: Cell::new(None) };
        let open = match shared.load.pace {
            Pace::Closed { .. } => None,
            Pace::Open { rate, arrivals, .. } => {
                Some(Mutex::new((Schedule::new(rate, arrivals, index, threads), Timer::new()?)))
            }
        };
        let mut workers: FuturesUnordered<_> = (0..connections).map(|_| own.work(open.as_ref())).collect();
        tokio::select! {
            () = async { while workers.next().await.is_some() {} } => {}
            () = own.enough() => {}
        }
        drop(workers);
        let share = own.from.get().map_or(0.0, |(at, used)| {
            let wall = shared.now().saturating_sub(at).as_secs_f64();
            if wall > 0.0 { cpu().saturating_sub(used).as_secs_f64() / wall } else { 0.0 }
        });
        let mut unsent = 0;
        if let Some(open) = open {
            let (mut schedule, _) = open.into_inner();
            let until = shared.end().min(shared.now());
            while schedule.peek() < until && shared.ticket() {
                schedule.take();
                unsent += 1;
            }
        }
        Ok(Brought { tallies: own.tallies.into_inner(), unsent, share })
    })
}

/// A thread's side.
struct Own<'a> {
    shared: &'a Shared,
    tallies: RefCell<Vec<Tally>>,
    /// When counting began, and the processor time by then.
    from: Cell<Option<(Duration, Duration)>>,
}

impl Own<'_> {
    /// Waits until nothing more needs to be waited for: at the end of a closed loop what is in flight is dropped, that of an open
    /// loop is given its time, since a tail that is cut off would be missing among the slow ones.
    async fn enough(&self) {
        let grace = match self.shared.load.pace {
            Pace::Closed { .. } => Duration::ZERO,
            Pace::Open { .. } => self.shared.load.timeout,
        };
        loop {
            let left = (self.shared.end().saturating_add(grace)).saturating_sub(self.shared.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// One connection's life: asks until it is over.
    async fn work(&self, open: Option<&Mutex<(Schedule, Timer)>>) {
        let load = &self.shared.load;
        let mut line: Option<Line> = None;
        loop {
            let mut due = None;
            if let Some(open) = open {
                // Whoever holds this waits for the next request's time; the others wait behind, in order.
                let mut baton = open.lock().await;
                let next = baton.0.peek();
                if next >= self.shared.end() {
                    return;
                }
                if next >= load.warmup && !self.shared.ticket() {
                    return;
                }
                baton.0.take();
                baton.1.until(self.shared.start + next).await;
                due = Some(next);
            }
            let begun = self.shared.now();
            if open.is_none() {
                let counts = begun >= load.warmup;
                if begun >= self.shared.end() || (counts && !self.shared.ticket()) {
                    return;
                }
            }
            if self.from.get().is_none() && begun >= load.warmup {
                self.from.set(Some((begun, cpu())));
            }
            let turn = self.shared.turn.fetch_add(1, Relaxed) as usize % load.shots.len();
            let shot = &load.shots[turn];
            let mut request = shot.request.clone();
            if !load.keep_alive {
                request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let outcome = match tokio::time::timeout(load.timeout, self.ask(&mut line, request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Fault::Timeout),
            };
            let failed = outcome.is_err();
            if failed || !load.keep_alive {
                line = None;
            }
            let no_connection = outcome.as_ref().is_err_and(|fault| *fault == Fault::Connect);
            self.count(begun, due, shot.bytes, outcome);
            if no_connection {
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    async fn ask(
        &self,
        line: &mut Option<Line>,
        request: http::Request<http_body_util::Full<bytes::Bytes>>,
    ) -> Result<Answer, Fault> {
        if let Some(kept) = line
            && !kept.is_ready().await
        {
            *line = None;
        }
        if line.is_none() {
            *line = Some(Line::open(self.shared.load.target.address).await?);
        }
        match line {
            Some(line) => line.ask(request).await,
            None => Err(Fault::Connect),
        }
    }

    /// Counts a request that began then, was due then, and ended now.
    fn count(&self, begun: Duration, due: Option<Duration>, bytes: usize, outcome: Result<Answer, Fault>) {
        let shared = self.shared;
        let now = shared.now();
        let took = now.saturating_sub(due.unwrap_or(begun));
        let good = outcome.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status));
        if good {
            shared.busy.fetch_add(took.as_nanos() as u64, Relaxed);
            shared.answered.fetch_add(1, Relaxed);
        } else {
            shared.failed.fetch_add(1, Relaxed);
        }
        // A closed loop counts what ends within the time, an open loop what was due within it, a count what it let begin.
        let at = match (due, shared.load.until) {
            (Some(due), _) => due,
            (None, Until::Count(_)) => begun,
            (None, _) if now >= shared.end() => return,
            (None, _) => now,
        };
        let Some(window) = shared.window(at) else { return };
        let mut tallies = self.tallies.borrow_mut();
        if tallies.len() <= window {
            tallies.resize_with(window + 1, Tally::default);
        }
        tallies[window].count(took, due.map(|due| begun.saturating_sub(due)), bytes, outcome, now);
    }
}
