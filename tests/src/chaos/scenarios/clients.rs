//! Clients that are slow, and clients that go away.

use super::settings;
use crate::chaos::generator::{Generator, Pace, request};
use crate::chaos::ledger::{picture, quantile};
use crate::chaos::report::{Report, millis, spread};
use crate::chaos::rest::Rest;
use crate::chaos::{Plan, rate};
use crate::service::Service;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two bytes of a slow client.
const DRIP: Duration = Duration::from_secs(1);
/// How long a crowd takes to become one.
const SETTLED: Duration = Duration::from_secs(3);
/// Slices of a [`DRIP`]: not all of them drip at once.
const SLICES: usize = 50;

/// One client that takes its time.
struct Slow {
    stream: Option<TcpStream>,
    kind: usize,
    sent: usize,
}

/// Many of them, worked by one thread.
pub(super) struct SlowClients {
    over: Arc<AtomicBool>,
    ended: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl SlowClients {
    /// So many: a header byte by byte, a body byte by byte, silence, an answered request and then nothing, and a few that
    /// ask for much and read nothing.
    pub(super) fn start(address: SocketAddr, count: usize) -> Self {
        let (over, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stop, end) = (over.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            let mut clients: Vec<Slow> =
                (0..count).map(|k| Slow { stream: None, kind: k % 40, sent: 0 }).collect();
            let mut slice = 0;
            while !stop.load(Relaxed) {
                for client in clients.iter_mut().skip(slice).step_by(SLICES) {
                    end.fetch_add(u64::from(client.drip(address)), Relaxed);
                }
                slice = (slice + 1) % SLICES;
                std::thread::sleep(DRIP / SLICES as u32);
            }
        });
        Self { over, ended, thread }
    }

    /// How many connections the service has ended.
    pub(super) fn stop(self) -> u64 {
        self.over.store(true, Relaxed);
        self.thread.join().expect("slow clients do not panic");
        self.ended.load(Relaxed)
    }
}

impl Slow {
    /// The next byte, or another connection when the service has ended this one. Returns whether it had.
    fn drip(&mut self, address: SocketAddr) -> bool {
        let Some(stream) = &mut self.stream else {
            self.stream = TcpStream::connect_timeout(&address, DRIP).ok();
            self.sent = 0;
            if let Some(stream) = &self.stream {
                let _ = stream.set_nonblocking(true);
            }
            return false;
        };
        const HEAD: &[u8] = b"POST /detect HTTP/1.1\r\nHost: slow\r\nContent-Type: image/png\r\nContent-Length: 20000\r\n\r\n";
        let bytes = match self.kind {
            0 if self.sent == 0 => b"GET /openapi.json HTTP/1.1\r\nHost: slow\r\n\r\n".repeat(400),
            0 => Vec::new(),
            k if k % 4 == 0 => HEAD.get(self.sent..self.sent + 1).unwrap_or_default().to_vec(),
            k if k % 4 == 1 && self.sent == 0 => HEAD.to_vec(),
            k if k % 4 == 1 => vec![0],
            k if k % 4 == 2 => Vec::new(),
            _ if self.sent == 0 => b"GET /healthz HTTP/1.1\r\nHost: slow\r\n\r\n".to_vec(),
            _ => Vec::new(),
        };
        let written = if bytes.is_empty() { Ok(0) } else { stream.write(&bytes) };
        self.sent += written.as_ref().map_or(0, |sent| *sent);
        let open = |result: &std::io::Result<usize>, eof: bool| match result {
            Ok(0) => !eof,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        };
        let read = if self.kind == 0 { Ok(1) } else { stream.read(&mut [0; 4096]) };
        let alive = open(&written, false) && open(&read, true);
        if !alive {
            self.stream = None;
        }
        !alive
    }
}

/// Descriptors for thousands of clients.
pub(super) fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard); // with fewer, fewer clients are opened
    }
}

/// Slow clients in thousands, and the others beside them: in turns with the others alone, since a machine drifts by more within a
/// minute than the slow ones cost.
pub fn slow_clients(plan: &Plan) -> Report {
    let (count, rounds, seconds) = plan.pick((2000, 7, 12), (200, 2, 2));
    let mut report = Report::new(
        &format!(
            "{count} slow clients: headers, bodies, silence, unread answers; {rounds} times {seconds} s with and without"
        ),
        "p99 of the others moves by 20 % at most (median of the rounds); none of them fails",
    );
    raise_file_limit();
    let service = Service::start(&settings(""));
    let address = service.address().parse().expect("an address");
    let rate = rate(&service, plan);
    let board = service.board();
    let connections = || (0..2).map(|slot| board.frontend(slot).connections()).sum::<u32>();
    let mut rest = None;
    let (mut beside, mut alone, mut ended) = (Vec::new(), Vec::new(), 0);
    let p99 = |report: &mut Report| {
        let generator = Generator::start(service.address(), Pace::Open(rate));
        std::thread::sleep(Duration::from_secs(seconds));
        let mut books = generator.stop();
        report.broken.extend(books.complaints());
        books.found.sort_unstable();
        quantile(&books.found, 0.99)
    };
    for _ in 0..rounds {
        let slow = SlowClients::start(address, count);
        crate::service::wait_for("the slow clients", || {
            (connections() as usize >= count * 9 / 10).then_some(())
        });
        // By then those that ask for thousands of documents at once have as many as they will take: asking is not slow.
        std::thread::sleep(SETTLED);
        beside.push(p99(&mut report));
        ended += slow.stop();
        // What so many connections took, the allocator keeps for the next time: a second crowd takes no more than the first.
        rest.get_or_insert_with(|| Rest::of(&service));
        alone.push(p99(&mut report));
    }
    // What else the machine does for a second spoils a round, not the comparison.
    let [with, without] = [&mut beside, &mut alone].map(|rounds| {
        rounds.sort_unstable();
        quantile(rounds, 0.5)
    });
    report.saw(format!("p99 beside them {}; alone {}", spread(beside), spread(alone)));
    report.saw(format!("{ended} slow connections were ended by the service"));
    report.must(!plan.long || ended > 0, "no slow client was ended");
    if with > without.mul_f64(1.2) {
        report.late.push(format!("p99 {} became {}", millis(without), millis(with)));
    }
    report.broken.extend(rest.map(|rest| rest.complaints(&service)).unwrap_or_default());
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// Clients that go away, at any byte of their request and while they wait.
pub(super) fn vanish(address: SocketAddr, count: usize, chance: &mut fastrand::Rng) {
    for n in 0..count {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let whole = request("vanishing", &picture(n as u64), false);
        let sent = chance.usize(..=2 * whole.len()).min(whole.len());
        let _ = stream.write_all(&whole[..sent]);
        if chance.u8(..4) == 0 {
            std::thread::sleep(Duration::from_millis(chance.u64(..20)));
        }
    }
}

/// Thousands of them.
pub fn vanishing_clients(plan: &Plan) -> Report {
    let count = plan.pick(10_000, 200);
    let mut report = Report::new(
        &format!("{count} clients that go away at any byte or while they wait"),
        "0 of the others fail; no seat, descriptor or memory stays behind",
    );
    let service = Service::start(&settings(""));
    let address = service.address().parse().expect("an address");
    let rate = rate(&service, plan) / 2.0;
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    vanish(address, count, &mut fastrand::Rng::with_seed(plan.seed));
    generator.more(3);
    let books = generator.stop();
    report.saw(books.summary());
    // So many at once are more than the service lets in: whoever is refused is told so.
    report.broken.extend(books.lost());
    report.must(
        books.problems.is_empty(),
        format!("{} problems: {:?}", books.problems.len(), books.problems.first()),
    );
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// No descriptor left for a connection: it waits in the queue, nobody spins, and when there is room again it is served.
pub fn few_descriptors(plan: &Plan) -> Report {
    const LIMIT: usize = 60;
    const CONNECTIONS: usize = 300;
    let mut report = Report::new(
        &format!("{LIMIT} descriptors a frontend, {CONNECTIONS} connections"),
        "frontends use less than 10 % of a core, and serve within a second of there being room again",
    );
    let service = Service::start(&settings(""));
    service.client().detect(&picture(1)).ok();
    let rest = Rest::of(&service);
    for pid in service.frontends() {
        let limit = [format!("--pid={pid}"), format!("--nofile={LIMIT}:")];
        let status = std::process::Command::new("prlimit").args(limit).status().expect("prlimit runs");
        assert!(status.success(), "the limit can be set");
    }
    let address: SocketAddr = service.address().parse().expect("an address");
    let crowd: Vec<_> = (0..CONNECTIONS).filter_map(|_| TcpStream::connect(address).ok()).collect();
    report.must(crowd.len() == CONNECTIONS, format!("only {} were taken up", crowd.len()));
    let said = |word: &str| service.log().contains(word);
    crate::service::wait_for("a frontend to run out of them", || {
        said("no connection can be accepted").then_some(())
    });
    let used = || service.frontends().iter().map(|&pid| cpu_time(pid)).sum::<Duration>();
    let (before, seconds) = (used(), plan.pick(5, 1));
    std::thread::sleep(Duration::from_secs(seconds));
    let share = (used() - before).as_secs_f64() / seconds as f64 / 2.0;
    report.saw(format!("{:.1} % of a core each", 100.0 * share));
    if share > 0.1 {
        report.late.push(format!("{:.0} % of a core each", 100.0 * share));
    }
    drop(crowd);
    let begun = std::time::Instant::now();
    let status = service.client().detect(&picture(2)).status;
    report.must(status == 200, format!("{status} when there was room again"));
    report.saw(format!("served {} after there was room", millis(begun.elapsed())));
    report.within("it was served after", begun.elapsed(), Duration::from_secs(1));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// What a process has used of the cores, in its own code and in the kernel's.
fn cpu_time(pid: nix::unistd::Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Counted behind the name: user and system time are the 12th and 13th, in hundredths of a second.
    let ticks = |k: usize| fields.get(k).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
