//! A whole frontend in this process for tests: a real board, arena and socket, and an engine that is a thread
//! which answers constants. Everything is gone when the [`Rig`] is dropped.

use crate::access::Access;
use crate::config::Config;
use crate::error::Code;
use crate::inputs::Inputs;
use crate::keeping::Keeping;
use crate::life;
use crate::link::Link;
use crate::server;
use crate::service::{Gates, Service};
use crate::stats::Snapshot;
use crate::tls::Tls;
use crate::work::Pool;
use shm_proto::Owner;
use shm_proto::arena::{self, BatchLimits, Bells, EngineArena, Geometry, Outcome};
use shm_proto::board::{Board, Counter, ProcessState, ServiceState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use vision::model::*;
use vision::picture::Picture;
use vision::tensor::Element;

/// What the engine's thread does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Answers one box, (1, 2)–(5, 6) of the 8×8 input, class 1, score 0.75.
    Answers,
    /// Answers nothing.
    Holds,
    /// Ends each run with this outcome.
    Ends(Outcome),
}

/// A detector with an 8×8 input that stretches, and room for two boxes.
pub fn facts() -> ModelFacts {
    let input = InputSpec {
        name: "x".into(),
        width: 8,
        height: 8,
        channels: Channels::Rgb,
        layout: Layout::Nhwc,
        element: Element::U8,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        fill: 0,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    ModelFacts {
        seat: input.clone(),
        spec: ModelSpec {
            name: "boxes".into(),
            task: Task::Detect,
            input: input.clone(),
            decoder: Decoder::EndToEnd,
            labels: vec!["cat".into(), "dog".into()],
            score: 0.5,
            iou: 0.5,
            max_detections: 10,
            top_k: 5,
            guessed: vec![],
        },
        outputs: vec![OutputFacts {
            name: "y".into(),
            element: Element::F32,
            shape: vec![2, 6],
            dynamic: false,
        }],
        version: "0".repeat(64),
        device: "cpu".into(),
        lanes: 1,
        max_batch: 1,
        runtime: "none".into(),
        golden: None,
        samples: vec![],
    }
}

/// A picture file of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = Picture { width, height, rgb: vec![127; (width * height * 3) as usize] };
    vision::draw::encode_png(&picture).expect("a picture can be encoded")
}

/// The running frontend.
pub struct Rig {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its parts.
    pub service: Arc<Service>,
    bells: Bells,
    engine: Arc<Mutex<Engine>>,
    drain: Option<oneshot::Sender<Duration>>,
    drained: mpsc::Receiver<bool>,
    threads: Vec<JoinHandle<()>>,
    over: Arc<AtomicBool>,
}

impl Rig {
    /// A ready service with 4 seats and one decode thread.
    pub fn start() -> Self {
        Self::with(|_| {}, 4, true)
    }

    /// A service with that configuration and so many seats, with or without a model.
    pub fn with(configure: impl FnOnce(&mut Config), seats: u32, model: bool) -> Self {
        Self::serving(model.then(facts), configure, seats)
    }

    /// A service with that model, which has the sizes of [`facts`].
    pub fn serving(model: Option<ModelFacts>, configure: impl FnOnce(&mut Config), seats: u32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("frontend-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let mut config = Config::default();
        config.frontend.decode_threads = 1;
        configure(&mut config);
        let board = Board::create(&name, 1).expect("a board").board;
        board.set_today(20_000);
        board.frontend(0).occupy(std::process::id(), 1, 0);
        let bells = Bells::create(1).expect("bells");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let pool = Pool::start(config.frontend.decode_threads as usize).expect("threads");
        let keeping =
            Keeping::start(&config.harvest, 1, Board::open(&name).expect("the board"), 0).expect("threads");
        let gates = Gates {
            inputs: Inputs::new(&config.inputs).expect("inputs"),
            access: Access::new(&config.access).expect("keys"),
            tls: Tls::new(&config.tls).expect("an identity"),
        };
        let service = Service::new(config, 0, board, Link::new(bells.clone(), 0), pool, gates, keeping);

        let over = Arc::new(AtomicBool::new(false));
        let engine = Arc::new(Mutex::new(Engine::Answers));
        let mut threads = Vec::new();
        if let Some(facts) = model {
            let geometry = geometry(seats);
            let fd = arena::create(&geometry, 7).expect("an arena");
            let lane = EngineArena::attach(&fd, bells.clone()).expect("the engine's side");
            let (engine, over) = (engine.clone(), over.clone());
            threads.push(std::thread::spawn(move || run_engine(&lane, facts.max_batch, &engine, &over)));
            attach(&service, &bells, fd, &geometry, &facts);
            service.board.set_state(ServiceState::Ready);
        }
        service.process().set_state(ProcessState::Ready);
        let (drain, told) = oneshot::channel();
        let (say, drained) = mpsc::channel();
        {
            let service = service.clone();
            threads.push(std::thread::spawn(move || run_frontend(&service, listener.into(), told, &say)));
        }
        Self { address, service, bells, engine, drain: Some(drain), drained, threads, over }
    }

    /// Attaches another generation, which has no engine.
    pub fn replace(&self) {
        let geometry = geometry(1);
        let fd = arena::create(&geometry, 8).expect("an arena");
        attach(&self.service, &self.bells, fd, &geometry, &facts());
    }

    /// Changes what the engine does with the batches to come.
    pub fn engine(&self, engine: Engine) {
        *self.engine.lock().unwrap() = engine;
    }

    /// Tells the frontend to drain. [`Rig::drained`] waits for it.
    pub fn drain(&mut self, timeout: Duration) {
        self.drain.take().expect("drained once").send(timeout).expect("a frontend");
    }

    /// Whether all connections ended in time.
    pub fn drained(&self) -> bool {
        self.drained.recv_timeout(Duration::from_secs(20)).expect("the frontend drains")
    }

    /// A connection.
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Client { stream, seen: Vec::new() }
    }

    /// One request on a connection of its own.
    pub fn ask(&self, head: &str, body: &[u8]) -> Answer {
        self.connect().ask(head, body)
    }

    /// A picture posted with this query.
    pub fn detect(&self, query: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST /detect{query} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"), body)
    }

    /// How many requests were refused with this code.
    pub fn refused(&self, code: Code) -> u64 {
        Snapshot::take(&self.service.board).frontends.code(code as usize)
    }

    /// One of this process's counters.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.service.process().counter(counter)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(drain) = self.drain.take() {
            let _ = drain.send(Duration::ZERO);
        }
        for thread in self.threads.drain(..) {
            let result = thread.join();
            if !std::thread::panicking() {
                result.expect("no thread panics");
            }
        }
    }
}

/// An arena for them.
pub fn geometry(seats: u32) -> Geometry {
    let facts = facts();
    Geometry {
        seats,
        frontends: 1,
        input_bytes: facts.seat.bytes() as u64,
        output_bytes: facts.outputs.iter().map(|output| output.bytes() as u64).collect(),
    }
}

fn attach(service: &Service, bells: &Bells, fd: OwnedFd, geometry: &Geometry, facts: &ModelFacts) {
    let description = serde_json::to_string(facts).expect("facts");
    let owner = Owner { slot: 0, generation: 1 };
    let attached = life::attach(owner, bells.clone(), fd, geometry, &description).expect("attached");
    service.link.admit(&attached);
    service.link.attach(attached);
}

fn run_engine(arena: &Arc<EngineArena>, max_batch: u32, engine: &Mutex<Engine>, over: &AtomicBool) {
    let limits = BatchLimits { max_batch, max_delay: Duration::ZERO, lane: 0 };
    let holds = || *engine.lock().unwrap() == Engine::Holds && !over.load(Relaxed);
    while !over.load(Relaxed) {
        let batch = if holds() { None } else { arena.next(limits, Duration::from_millis(5)) };
        // A batch that was taken in the instant of the change is held as well.
        while holds() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let Some(mut batch) = batch else { continue };
        batch.start();
        let now = *engine.lock().unwrap();
        if let Engine::Ends(outcome) = now {
            batch.answer(outcome);
            continue;
        }
        let one: [f32; 12] = [1.0, 2.0, 5.0, 6.0, 0.75, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let bytes: Vec<u8> = one.iter().flat_map(|v| v.to_ne_bytes()).collect();
        for seat in batch.output_mut(0).chunks_exact_mut(bytes.len()) {
            seat.copy_from_slice(&bytes);
        }
        batch.answer(Outcome::Done);
    }
}

fn run_frontend(
    service: &Arc<Service>,
    listener: OwnedFd,
    told: oneshot::Receiver<Duration>,
    say: &mpsc::Sender<bool>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (connections, acceptors) = life::open(service, vec![listener]).expect("accepting");
        tokio::spawn(life::beat(service.clone()));
        let hearing = service.clone();
        tokio::spawn(async move { hearing.link.listen().await });
        let timeout = told.await.unwrap_or_default();
        // The rig may have gone, and nobody asks any more.
        let _ = say.send(server::drain(service, &connections, acceptors, timeout).await);
    });
}

/// Waits for something to become true, for so long that it is certainly broken after.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A client that writes and reads bytes as they are.
pub struct Client {
    /// Its connection.
    pub stream: TcpStream,
    seen: Vec<u8>,
}

/// What a client got.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head as text, its names in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The status and the problem's code.
    pub fn problem(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Client {
    /// Sends a request and reads its answer. `head` ends with its last header's line; the length is added.
    pub fn ask(&mut self, head: &str, body: &[u8]) -> Answer {
        self.send(head, body);
        self.answer(head.starts_with("HEAD"))
    }

    /// Sends a request.
    pub fn send(&mut self, head: &str, body: &[u8]) {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.write(&[head.as_bytes(), length.as_bytes(), b"\r\n", body].concat());
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Reads one answer; that to a HEAD has no body, whatever its length says.
    pub fn answer(&mut self, is_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.seen.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.fill() > 0,
                "the connection ended in a head: {:?}",
                String::from_utf8_lossy(&self.seen)
            );
        };
        let head: Vec<u8> = self.seen.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is text").replace("\r\n", "\n");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: Vec::new() };
        let length: usize = answer.header("content-length").map_or(0, |text| text.parse().expect("a length"));
        while !is_head && self.seen.len() < length {
            assert!(self.fill() > 0, "the connection ended in a body");
        }
        answer.body = self.seen.drain(..if is_head { 0 } else { length }).collect();
        answer
    }

    /// Whether the server has ended the connection, which this waits for, without sending more.
    pub fn is_closed(&mut self) -> bool {
        self.seen.is_empty() && self.fill() == 0
    }

    fn fill(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let read = self.stream.read(&mut bytes).expect("the server answers");
        self.seen.extend(&bytes[..read]);
        read
    }
}
