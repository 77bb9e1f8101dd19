//! What every request of this process shares, and the keeping of its books: who came, what was in flight, how
//! it ended. Owns no protocol and decides nothing.

use crate::access::Access;
use crate::capacity::{Capacity, Observation};
use crate::config::Config;
use crate::error::Code;
use crate::events::Events;
use crate::inputs::Inputs;
use crate::keeping::Keeping;
use crate::link::Link;
use crate::openapi;
use crate::stats::{self, History, Snapshot};
use crate::tls::Tls;
use crate::visitor::Visitor;
use crate::work::Pool;
use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use shm_proto::board::{Board, Counter, Process, ProcessState};
use shm_proto::clock::{self, Nanos};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Without a sign of life for so long an engine stands still; it gives one four times a second.
const STILL: Duration = Duration::from_millis(600);

/// Where the service is in its life, as its connections see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connections are accepted.
    Open,
    /// No more are accepted, and each answer ends its connection.
    Closing,
    /// Connections without a request are closed.
    Closed,
    /// What is still under way is answered that it will not be done.
    Over,
}

/// The parts of a frontend.
pub struct Service {
    /// The configuration.
    pub config: Config,
    /// This frontend's slot in the process table.
    pub slot: u8,
    /// The figures of the whole service.
    pub board: Board,
    /// The way to the engine.
    pub link: Link,
    /// The decode threads.
    pub pool: Pool,
    /// One permit for each decoded picture that may exist at once.
    pub pictures: Arc<Semaphore>,
    /// The inputs.
    pub inputs: Inputs,
    /// Live figures.
    pub events: Events,
    /// Who may ask.
    pub access: Access,
    /// Who the service is to its clients; none without TLS.
    pub tls: Option<Tls>,
    /// What answered pictures are kept with, where there is a folder for them.
    pub keeping: Option<Keeping>,
    description: OnceLock<Bytes>,
    history: Mutex<History>,
    capacity: Mutex<Capacity>,
    phase: watch::Sender<Phase>,
}

/// What requests pass on their way in, made from the configuration before anything is served.
pub struct Gates {
    /// The inputs.
    pub inputs: Inputs,
    /// Who may ask.
    pub access: Access,
    /// Who the service is to its clients.
    pub tls: Option<Tls>,
}

impl Service {
    /// Puts the parts together.
    pub fn new(
        config: Config,
        slot: u8,
        board: Board,
        link: Link,
        pool: Pool,
        gates: Gates,
        keeping: Option<Keeping>,
    ) -> Arc<Self> {
        let Gates { inputs, access, tls } = gates;
        // One more than threads, so that a thread that is done finds the next picture waiting.
        let pictures = Arc::new(Semaphore::new(pool.threads() + 1));
        let history = Mutex::new(History::new(&board));
        let capacity = Mutex::default();
        let phase = watch::Sender::new(Phase::Open);
        let events = Events::default();
        Arc::new(Self {
            config,
            slot,
            board,
            link,
            pool,
            pictures,
            inputs,
            events,
            access,
            tls,
            keeping,
            description: OnceLock::new(),
            history,
            capacity,
            phase,
        })
    }

    /// The API's description as JSON, made when it is first asked for: it follows from the configuration alone.
    pub fn description(&self) -> Bytes {
        // Text keys and finite numbers, which is all that serde_json can refuse.
        let make = || serde_json::to_vec(&openapi::document(&self.config)).unwrap_or_default().into();
        self.description.get_or_init(make).clone()
    }

    /// This process's block on the board.
    pub fn process(&self) -> Process<'_> {
        self.board.frontend(self.slot)
    }

    /// The figures of the last minute.
    pub fn history(&self) -> MutexGuard<'_, History> {
        // Snapshots are pushed whole.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the service can take.
    pub fn capacity(&self) -> MutexGuard<'_, Capacity> {
        // Plain numbers: whole at any time.
        self.capacity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that may be in service at once now.
    pub fn concurrency_limit(&self) -> u32 {
        let frontend = &self.config.frontend;
        self.capacity().limit(frontend.rt_target, frontend.max_concurrency)
    }

    /// Takes note of whether the engine moves.
    pub fn look_around(&self) {
        let (started, moves) = self.serving_engine().map_or((0, false), |engine| {
            let quiet = clock::now().saturating_sub(engine.heartbeat());
            (engine.started(), quiet < STILL.as_nanos() as Nanos)
        });
        self.capacity().glance(started, moves);
    }

    fn serving_engine(&self) -> Option<Process<'_>> {
        (0..2).map(|slot| self.board.engine(slot)).find(|engine| engine.state() == ProcessState::Ready)
    }

    /// Takes note of the last second.
    pub fn look_back(&self) {
        self.access.refresh();
        if let Some(tls) = &self.tls {
            tls.refresh();
        }
        let snapshot = Snapshot::take(&self.board);
        let last = self.history().window(&snapshot, 1.0);
        if let Some(attached) = self.link.current() {
            let facts = &attached.facts;
            let engine = self.serving_engine();
            self.capacity().observe(&Observation {
                generation: self.board.generation(),
                servers: facts.lanes * facts.max_batch + self.board.frontends(),
                ideal: engine.map_or(0.0, |engine| ideal(engine.image_nanos(), facts.lanes)),
                window: &last,
            });
        }
        if self.events.is_watched() {
            let mut document = stats::document(self);
            document["second"] = stats::second(self, &snapshot);
            self.events.publish(&document);
        }
        self.history().push(snapshot);
    }

    /// Tells the connections where the service is.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// To hear where the service is.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Whether answers end their connections.
    pub fn is_closing(&self) -> bool {
        *self.phase.borrow() >= Phase::Closing
    }

    /// Begins the books of one request. Calls of the page and of `/detect` are visits; what monitoring asks for
    /// and what a page loads is not.
    pub fn visit(&self, head: &Parts, peer: IpAddr) -> Visit<'_> {
        let mut cookie = None;
        if matches!(head.uri.path(), "/" | "/detect") {
            let visitor = Visitor::of(head, peer);
            self.board.visit(visitor.who, visitor.address);
            cookie = visitor.cookie;
        }
        Visit { process: self.process(), answered: false, cookie }
    }

    /// Begins the books of a detect request that arrived then. Its picture has not.
    pub fn enter_request(&self, arrived: Nanos) -> InFlight<'_> {
        let process = self.process();
        process.reading_began();
        process.request_entered();
        InFlight { process, arrived, reading: true }
    }
}

/// Images a second, when every lane does nothing else.
fn ideal(image_nanos: Nanos, lanes: u32) -> f64 {
    if image_nanos == 0 { 0.0 } else { f64::from(lanes) * 1e9 / image_nanos as f64 }
}

/// One request's books. Dropped without an answer, its client has gone.
pub struct Visit<'a> {
    process: Process<'a>,
    answered: bool,
    cookie: Option<HeaderValue>,
}

impl Visit<'_> {
    /// The cookie that the answer should give, once.
    pub fn take_cookie(&mut self) -> Option<HeaderValue> {
        self.cookie.take()
    }

    /// The request was refused with this code.
    pub fn refused(&mut self, code: Code) {
        self.process.count_code(code as usize);
        if code == Code::DeadlineExceeded {
            self.process.add(Counter::Expired, 1);
        }
    }

    /// The request has its answer of this many bytes.
    pub fn answered(mut self, bytes: usize) {
        self.answered = true;
        self.process.add(Counter::Requests, 1);
        self.process.add(Counter::BytesOut, bytes as u64);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.process.add(Counter::Cancelled, 1);
        }
    }
}

/// A detect request in flight.
pub struct InFlight<'a> {
    process: Process<'a>,
    arrived: Nanos,
    reading: bool,
}

impl InFlight<'_> {
    /// Its picture has arrived.
    pub fn arrived(&mut self) {
        if std::mem::take(&mut self.reading) {
            self.process.reading_ended();
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.process.request_left();
        self.arrived();
        self.process.add(Counter::InFlightNanos, clock::now().saturating_sub(self.arrived));
    }
}
