//! What became of each request, and whether that may be: each is answered exactly once, with the answer to its own picture, or its
//! connection broke for a reason that has a name.
//!
//! The picture of request `n` is of one colour, which no other request of the run has, and the tests' models answer the
//! colour. So an answer names the picture that it belongs to.

use super::wire::{Answer, Failure};
use crate::pictures;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long after a process was killed its connections are found broken.
const AFTERMATH: Duration = Duration::from_secs(15);

/// The colour of request `n`: no channel so dark that it would not be found, none so red that the models that choke on red do.
pub fn colour(n: u64) -> [u8; 3] {
    const RED: u64 = 50;
    const OTHER: u64 = 186;
    // Odd, and no multiple of 3, 5 or 31: a walk through all colours that looks like chance.
    let k = n.wrapping_mul(7_919_177) % (RED * OTHER * OTHER);
    [70 + k % RED, 70 + k / RED % OTHER, 70 + k / RED / OTHER].map(|channel| channel as u8)
}

/// The picture of request `n`.
pub fn picture(n: u64) -> Vec<u8> {
    pictures::plain(colour(n))
}

/// How a request ended.
#[derive(Clone, Debug)]
pub enum End {
    /// Detections of its own picture.
    Found,
    /// A problem document: status, code, and whether it says when to come back.
    Problem(u16, String, bool),
    /// Without an answer.
    Failed(Failure),
    /// An answer that is not its own.
    Wrong(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number.
    pub n: u64,
    /// When it was to be sent.
    pub due: Instant,
    /// When it ended.
    pub ended: Instant,
    /// The client's port.
    pub port: u16,
    /// How it ended.
    pub end: End,
}

impl Entry {
    /// From when it was due, whatever kept its client from sending it.
    pub fn took(&self) -> Duration {
        self.ended.saturating_duration_since(self.due)
    }
}

/// All requests of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    issued: u64,
    found: u64,
    /// Requests asked once more because their idle connection was closed under them.
    stale: u64,
    /// Connections that a fault broke, by the client's port, which may be another connection's later: when, and by what.
    excused: HashMap<u16, Vec<(Instant, String)>>,
}

impl Inner {
    /// The fault that broke the connection of this port then, if one did.
    fn excuse_at(&self, port: u16, then: Instant) -> Option<&str> {
        let excuses = self.excused.get(&port)?.iter();
        let mut valid = excuses.filter(|(since, _)| (*since..*since + AFTERMATH).contains(&then));
        valid.next_back().map(|(_, fault)| fault.as_str())
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new request.
    pub fn issue(&self) -> u64 {
        let mut inner = self.lock();
        inner.issued += 1;
        inner.issued
    }

    /// An idle connection was closed under a request, which is asked again.
    pub fn asked_again(&self) {
        self.lock().stale += 1;
    }

    /// A request has ended.
    pub fn enter(&self, entry: Entry) {
        let mut inner = self.lock();
        inner.found += u64::from(matches!(entry.end, End::Found));
        inner.entries.push(entry);
    }

    /// These connections are about to be broken by `fault`.
    pub fn excuse(&self, ports: &[u16], fault: &str) {
        let now = Instant::now();
        let mut inner = self.lock();
        for &port in ports {
            inner.excused.entry(port).or_default().push((now, fault.to_owned()));
        }
    }

    /// Whether a fault broke the connection of this port just now.
    pub fn is_excused(&self, port: u16) -> bool {
        self.lock().excuse_at(port, Instant::now()).is_some()
    }

    /// Requests answered with detections so far.
    pub fn found(&self) -> u64 {
        self.lock().found
    }

    /// When each answer with detections since `from` came, in order.
    pub fn answers_since(&self, from: Instant) -> Vec<Instant> {
        let inner = self.lock();
        let mut times: Vec<Instant> = inner
            .entries
            .iter()
            .filter(|entry| matches!(entry.end, End::Found) && entry.ended >= from)
            .map(|entry| entry.ended)
            .collect();
        times.sort_unstable();
        times
    }

    /// The books, once everybody has entered.
    pub fn close(&self) -> Books {
        let inner = self.lock();
        let mut books = Books { issued: inner.issued, stale: inner.stale, ..Books::default() };
        let mut seen = std::collections::HashSet::new();
        for entry in &inner.entries {
            if !seen.insert(entry.n) {
                books.violations.push(format!("request {} has two ends", entry.n));
            }
            match &entry.end {
                End::Found => books.found.push(entry.took()),
                End::Problem(429, ..) => books.refused.push(entry.took()),
                End::Problem(status, code, _) => books.problems.push(format!("{status} {code}")),
                End::Wrong(what) => books.violations.push(format!("request {}: {what}", entry.n)),
                End::Failed(failure) => match inner.excuse_at(entry.port, entry.ended) {
                    Some(fault)
                        if matches!(failure, Failure::Broken(_) | Failure::Cut(_) | Failure::Stale) =>
                    {
                        *books.excused.entry(fault.to_owned()).or_default() += 1;
                    }
                    _ => books.failed.push(format!("request {}: {failure:?}", entry.n)),
                },
            }
            if let End::Problem(429 | 503, code, false) = &entry.end {
                books.violations.push(format!("request {}: {code} without Retry-After", entry.n));
            }
        }
        if seen.len() as u64 != inner.issued {
            books.violations.push(format!("{} requests, {} ends", inner.issued, seen.len()));
        }
        books.found.sort_unstable();
        books.refused.sort_unstable();
        books
    }
}

/// A ledger's sums.
#[derive(Debug, Default)]
pub struct Books {
    /// Requests in all.
    pub issued: u64,
    /// Requests sent anew on another connection.
    pub stale: u64,
    /// Times of those answered with their detections, sorted.
    pub found: Vec<Duration>,
    /// Times of those refused with 429, sorted.
    pub refused: Vec<Duration>,
    /// Other problem documents.
    pub problems: Vec<String>,
    /// Requests that a fault took with it, by the fault.
    pub excused: HashMap<String, u64>,
    /// Requests without an answer and without an excuse.
    pub failed: Vec<String>,
    /// What must never be.
    pub violations: Vec<String>,
}

impl Books {
    /// What is wrong when no request was to be lost or refused but by the faults themselves.
    pub fn complaints(&self) -> Vec<String> {
        let mut all = self.lost();
        if !self.problems.is_empty() {
            all.push(format!("{} problems, such as {}", self.problems.len(), self.problems[0]));
        }
        if !self.refused.is_empty() {
            all.push(format!("{} requests were refused (429)", self.refused.len()));
        }
        all
    }

    /// What is wrong even when requests may be refused.
    pub fn lost(&self) -> Vec<String> {
        let mut all: Vec<String> = self.violations.iter().take(3).cloned().collect();
        if !self.failed.is_empty() {
            all.push(format!("{} requests were not answered, such as {}", self.failed.len(), self.failed[0]));
        }
        all
    }

    /// Requests that faults took with them.
    pub fn taken(&self) -> u64 {
        self.excused.values().sum()
    }

    /// In few words.
    pub fn summary(&self) -> String {
        let lost = self.failed.len() + self.violations.len();
        let mut text = format!("{} asked, {} answered, {lost} failed", self.issued, self.found.len());
        for (count, what) in [
            (self.refused.len() as u64, "refused"),
            (self.problems.len() as u64, "other problems"),
            (self.taken(), "lost with their process"),
            (self.stale, "asked again"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

/// The time below which the share `q` of sorted times lies.
pub fn quantile(sorted: &[Duration], q: f64) -> Duration {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// How the answer to request `n`, which was sent as `id`, is to be entered.
pub fn judge(n: u64, id: &str, answer: &Answer) -> End {
    if answer.id != id && answer.status != 431 {
        return End::Wrong(format!("the answer of {:?} to {id:?}", answer.id));
    }
    let Ok(document) = serde_json::from_slice::<Value>(&answer.body) else {
        return End::Wrong(format!("{}: no JSON", answer.status));
    };
    if document["id"] != id {
        return End::Wrong(format!("the body of {} to {id:?}", document["id"]));
    }
    if answer.status != 200 {
        let code = document["code"].as_str().unwrap_or_default().to_owned();
        return End::Problem(answer.status, code, answer.retry_after.is_some());
    }
    let score = |label: &str| {
        let found = document["detections"].as_array()?.iter().find(|found| found["label"] == label)?;
        Some((found["score"].as_f64()? * 255.0).round() as i64)
    };
    let seen = ["red", "green", "blue"].map(score);
    let expected = colour(n).map(|channel| Some(i64::from(channel)));
    if seen == expected {
        End::Found
    } else {
        End::Wrong(format!("the answer to another picture: {seen:?} and not {expected:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_comes_again_keeps_what_its_first_connection_was_excused_for() {
        let ledger = Ledger::default();
        let n = ledger.issue();
        ledger.excuse(&[4000], "the first fault");
        let (due, ended) = (Instant::now(), Instant::now());
        ledger.enter(Entry { n, due, ended, port: 4000, end: End::Failed(Failure::Stale) });
        ledger.excuse(&[4000], "a later one");
        let books = ledger.close();
        assert_eq!(books.excused, HashMap::from([("the first fault".to_owned(), 1)]));
        assert!(books.failed.is_empty(), "{:?}", books.failed);
    }
}
