//! The thin layer between the pure core and the operating system: turns signals, messages and deaths into events, and
//! actions into processes, messages and signals. Decides nothing.
//!
//! One thread, one poll(2). It is the parent of every child and, as PID 1, of every orphan: whoever dies is reaped here.

mod arenas;
mod former;
mod process;
mod reload;
mod roll_call;
mod signals;
mod standing;
mod trial;

use crate::config::{Config, Sources};
use crate::core::child::{ChildId, Kind};
use crate::core::event::{Action, Ending, Event, Exit, Force, Notice, Order, State};
use crate::core::pulse::Pulses;
use crate::core::{LAST_CALL, Phase, Supervisor};
use crate::handover::{self, Former, Handover};
use crate::logging::LevelHandle;
use crate::spawn::Program;
use crate::systemd;
use arenas::Arenas;
use former::Predecessor;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal as Number, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use process::Process;
use reload::Stamp;
use roll_call::RollCall;
use shm_proto::arena::Bells;
use shm_proto::board::{Board, Heritage, ProcessState, ServiceState};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use standing::Standing;
use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Level;
use trial::Trial;

/// How often heartbeats are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How far a start or a stop is extended at each tick, while systemd waits for it.
const EXTENSION: Duration = Duration::from_secs(10);
/// What the driver is made of.
pub struct Parts {
    /// Where the configuration came from, for reloads.
    pub sources: Sources,
    /// The configuration.
    pub config: Config,
    /// The board, made by the caller.
    pub board: Board,
    /// The listening sockets.
    pub listeners: Vec<TcpListener>,
    /// Whether connections may wait in them while nobody serves.
    pub passed: bool,
    /// The executable of the children.
    pub program: Program,
    /// Changes the log level at a reload.
    pub level: LevelHandle,
    /// Where an upgrade looks for the next program.
    pub path: PathBuf,
    /// What the program before this one left.
    pub handover: Option<Handover>,
    /// What its children count on.
    pub heritage: Option<Heritage>,
}

/// How it ended.
pub struct Outcome {
    /// The exit code.
    pub exit: Exit,
    /// Why, when it is not 0.
    pub why: Option<String>,
    /// The program before this one still serves: it may go on.
    pub way_back: Option<Handover>,
}

/// The supervisor's process.
pub struct Driver {
    sources: Sources,
    config: Config,
    /// What the model's files were when the configuration was taken over.
    stamp: Stamp,
    /// Both before the last reload.
    previous: Option<(Config, Stamp)>,
    core: Supervisor,
    board: Board,
    bells: Bells,
    /// What every engine gets: the bells.
    engine_fds: Arc<[OwnedFd]>,
    /// What every frontend gets: the bells and the listening sockets.
    frontend_fds: Arc<[OwnedFd]>,
    /// Whether connections may wait in those while nobody serves.
    passed: bool,
    program: Program,
    level: LevelHandle,
    processes: Vec<Process>,
    /// How often each place lost its process otherwise than on an order.
    losses: HashMap<(Kind, u8), u32>,
    arenas: Arenas,
    pulses: Pulses,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    path: PathBuf,
    predecessor: Predecessor,
    /// The program that may become our successor.
    trial: Option<Trial>,
    /// The new program is good; it takes over from whom it finds alive.
    roll_call: Option<RollCall>,
    watchdog: Option<Duration>,
    standing: Standing,
    announced: bool,
    exit: Option<(Exit, Option<String>)>,
}

impl Driver {
    /// Installs the signal handlers. Call it from the main thread, before any other thread exists.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn new(parts: Parts) -> std::io::Result<Self> {
        let Parts { sources, config, board, listeners, passed, program, level, path, handover, heritage } =
            parts;
        let (read, write) = UnixStream::pair()?;
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, signals::HEARD)?;
        handover::hold_signals(false)?;
        let bells = Bells::create(u32::from(config.service.procs()))?;
        let copies = || bells.fds().map(|fd| fd.try_clone_to_owned()).collect::<std::io::Result<Vec<_>>>();
        let engine_fds = copies()?.into();
        let frontend_fds = copies()?.into_iter().chain(listeners.into_iter().map(OwnedFd::from)).collect();
        let seed = shm_proto::clock::now() ^ u64::from(std::process::id());
        Ok(Self {
            core: Supervisor::new(config.settings(), seed),
            bells,
            engine_fds,
            frontend_fds,
            passed,
            sources,
            stamp: Stamp::of(&config.model),
            config,
            previous: None,
            standing: Standing::new(&board, Instant::now()),
            board,
            program,
            level,
            processes: Vec::new(),
            losses: HashMap::new(),
            arenas: Arenas::default(),
            pulses: Pulses::default(),
            signals,
            path,
            predecessor: Predecessor::new(handover, heritage),
            trial: None,
            roll_call: None,
            watchdog: systemd::watchdog_interval(),
            announced: false,
            exit: None,
        })
    }

    /// Supervises until the core says that it is over, and nobody of the program before this one is left.
    pub fn run(mut self) -> Outcome {
        if let Some((change, _)) = self.predecessor.change() {
            self.board.continue_changes(change);
        }
        self.feed(Event::Begin);
        let mut tick = Instant::now();
        let mut pinged = tick;
        loop {
            if let Some((exit, why)) = self.exit.take() {
                let way_back = if exit == Exit::Clean { None } else { self.predecessor.take_way_back() };
                self.predecessor.retire(self.config.service.drain_timeout + LAST_CALL);
                if way_back.is_some()
                    && let Err(error) = self.leave_signals()
                {
                    tracing::error!(%error, "signals that wait are forgotten");
                }
                if way_back.is_some() || self.predecessor.is_gone() {
                    return Outcome { exit, why, way_back };
                }
                self.exit = Some((exit, why));
            }
            let deadline = self.core.deadline().map_or(tick, |at| at.min(tick));
            self.wait(deadline.saturating_duration_since(Instant::now()));
            self.hear_signals();
            self.hear_children();
            self.reap();
            let now = Instant::now();
            if self.core.deadline().is_some_and(|at| at <= now) {
                self.feed(Event::Timer);
            }
            if tick <= now {
                tick = now + TICK;
                self.tick(now);
            }
            if self.watchdog.is_some_and(|every| now.duration_since(pinged) >= every.min(TICK * 4)) {
                pinged = now;
                systemd::alive();
            }
        }
    }

    fn wait(&self, longest: Duration) {
        // A millisecond is added because poll rounds down, which would make the last one a busy loop.
        let millis = u16::try_from(longest.as_millis() + 1).unwrap_or(u16::MAX);
        let children = self.processes.iter().filter_map(Process::fd);
        let fds = std::iter::once(self.signals.get_read().as_fd()).chain(children);
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                tracing::error!(%error, "poll failed");
                std::thread::sleep(TICK); // never a busy loop, whatever is wrong
            }
        }
    }

    fn hear_children(&mut self) {
        let said: Vec<_> = self.processes.iter_mut().map(|process| (process.id, process.hear())).collect();
        for (child, messages) in said {
            for message in messages {
                self.feed(Event::Said { child, message });
            }
            let arenas = &self.arenas;
            if let Some(process) = self.processes.iter_mut().find(|process| process.id == child) {
                process.send_waiting(arenas);
            }
        }
    }

    /// Reaps whoever died. What a child said before its death is heard first, then nobody can write for it any more.
    fn reap(&mut self) {
        loop {
            let (pid, how) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ending::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ending::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue, // stopped or continued: not dead
                Err(error) => {
                    tracing::error!(%error, "waitpid failed");
                    return;
                }
            };
            let Some(index) = self.processes.iter().position(|process| process.pid == pid) else {
                self.reaped_other(pid, how);
                continue;
            };
            let mut process = self.processes.swap_remove(index);
            let child = process.id;
            if how != Ending::Code(0) {
                *self.losses.entry((child.kind, child.slot)).or_default() += 1;
            }
            for message in process.hear() {
                self.feed(Event::Said { child, message });
            }
            self.pulses.forget(child);
            tracing::debug!(%pid, "{child} {how}");
            self.feed(Event::Exited { child, how });
        }
    }

    /// Somebody who is no child of the core's.
    fn reaped_other(&mut self, pid: Pid, how: Ending) {
        if let Some(trial) = self.trial.take_if(|trial| trial.pid() == pid) {
            match how {
                Ending::Code(0) => self.roll_call = Some(RollCall::of(self.heartbeats())),
                _ => self.feed(Event::ProgramChecked { error: Some(trial.complaint(how)) }),
            }
        } else if self.predecessor.reaped(pid) {
            tracing::info!(%pid, "a process of the former program {how}");
            self.predecessor.watch(&self.board, Instant::now());
        } else {
            tracing::debug!(%pid, "reaped an orphan");
        }
    }

    fn tick(&mut self, now: Instant) {
        self.predecessor.watch(&self.board, now);
        if let Some(trial) = &mut self.trial {
            trial.watch(now);
        }
        self.board.beat();
        self.board.set_today(today());
        if let Some(counts) = self.arenas.counts() {
            self.board.set_seats(counts);
        }
        if self.core.phase() != Phase::Running {
            systemd::give_me_time(EXTENSION);
        } else if let Some(text) = self.standing.look(&self.board, now) {
            systemd::notify(&Notice::Status(text));
        }
        let children: Vec<ChildId> = self.processes.iter().map(|process| process.id).collect();
        for child in children {
            let silence = self.pulses.look(child, block(&self.board, child).heartbeat(), now);
            if self.core.patience(child, silence.has_beaten).is_some_and(|most| silence.quiet > most) {
                self.feed(Event::Silent { child, quiet: silence.quiet });
            }
        }
        let mut roll_call = self.roll_call.take();
        let beat = |child| self.heartbeats().find(|(other, _)| *other == child).map(|(_, beat)| beat);
        if roll_call.as_mut().is_some_and(|roll_call| roll_call.is_over(beat)) {
            self.feed(Event::ProgramChecked { error: None });
        } else {
            self.roll_call = roll_call;
        }
    }

    /// Of all who are watched.
    fn heartbeats(&self) -> impl Iterator<Item = (ChildId, u64)> {
        let watched = self.processes.iter().filter(|process| self.core.patience(process.id, true).is_some());
        watched.map(|process| (process.id, block(&self.board, process.id).heartbeat()))
    }

    /// Hands an event to the core and performs what follows, and what follows from that.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.core.step(event, Instant::now()) {
                events.extend(self.perform(action));
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(child) => return self.spawn(child),
            Action::Tell(child, order) => self.tell(child, order),
            Action::CreateArena { generation, model } => {
                let frontends = u32::from(self.config.service.procs());
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let decoding = self.config.frontend.decode_threads(cores, frontends) as u32 * frontends;
                let seats = self.config.engine.seats(model.lanes, model.max_batch, frontends, decoding);
                return Some(match self.arenas.create(generation, seats, frontends, &model, &self.bells) {
                    Ok(geometry) => {
                        tracing::info!(generation, seats = geometry.seats, "arena for {}", model.title);
                        Event::ArenaMade { generation }
                    }
                    Err(error) => Event::ArenaFailed { error: error.to_string() },
                });
            }
            Action::Show { generation } => {
                self.board.set_generation(generation);
                self.board.set_model(self.arenas.show(generation));
            }
            Action::DropArena { generation } => self.arenas.drop(generation),
            Action::Reclaim { child, arena } => {
                block(&self.board, child).vacate();
                if let Some(generation) = arena {
                    self.arenas.reclaim(child, generation);
                }
            }
            Action::Kill(child, force) => self.kill(child, force),
            Action::Publish(state) => self.board.set_state(match state {
                State::Starting => ServiceState::Starting,
                State::Ready => ServiceState::Ready,
                State::EngineDown => ServiceState::EngineDown,
                State::Draining => ServiceState::Draining,
            }),
            Action::Notify(notice) => {
                match &notice {
                    Notice::Status(text) => self.board.set_message(text),
                    Notice::Ready => self.announce(),
                    Notice::Reloading | Notice::Stopping => {}
                }
                systemd::notify(&notice);
            }
            Action::Reload => {
                self.board.begin_change();
                return Some(self.reload());
            }
            Action::Revert => {
                if let Some((config, stamp)) = self.previous.take() {
                    self.take_over(config);
                    self.stamp = stamp;
                }
            }
            Action::CheckProgram => {
                self.board.begin_change();
                tracing::info!(program = %self.path.display(), "upgrade: trying the new program");
                match Trial::start(&self.path, self.config.service.start_timeout) {
                    Ok(trial) => self.trial = Some(trial),
                    Err(error) => {
                        let error = Some(format!("{}: {error}", self.path.display()));
                        return Some(Event::ProgramChecked { error });
                    }
                }
            }
            Action::HandOver => return Some(Event::HandOverFailed { error: self.hand_over() }),
            Action::Report { good, text } => self.board.end_change(good, &text),
            Action::Log(Level::ERROR, text) => tracing::error!("{text}"),
            Action::Log(Level::WARN, text) => tracing::warn!("{text}"),
            Action::Log(_, text) => tracing::info!("{text}"),
            Action::Exit { exit, why } => self.exit = Some((exit, why)),
        }
        None
    }

    fn spawn(&mut self, child: ChildId) -> Option<Event> {
        let old = self.previous.as_ref().filter(|_| self.core.is_of_the_old(child)).map(|(config, _)| config);
        let config = old.unwrap_or(&self.config);
        let config = match child.kind {
            Kind::Engine => serde_json::to_string(&config.engine_boot()),
            Kind::Frontend => {
                // A replacement has others beside it, or nobody to answer with: who comes waits rather than being sent away.
                let patient = self.passed || self.core.phase() != Phase::Starting;
                serde_json::to_string(&config.frontend_boot(patient))
            }
        };
        let started = config.map_err(|error| error.to_string()).and_then(|config| {
            let fds = match child.kind {
                Kind::Engine => self.engine_fds.clone(),
                Kind::Frontend => self.frontend_fds.clone(),
            };
            Process::start(child, config, &self.board, fds, &self.program, &self.config.log)
        });
        match started {
            Ok(process) => {
                let pid = process.pid.as_raw().cast_unsigned();
                let generation = u32::from(child.generation);
                let restarts = self.losses.get(&(child.kind, child.slot)).copied().unwrap_or(0);
                block(&self.board, child).occupy(pid, generation, restarts);
                tracing::debug!(pid, "{child} started");
                self.processes.push(process);
                None
            }
            Err(error) => Some(Event::SpawnFailed { child, error }),
        }
    }

    fn tell(&mut self, child: ChildId, order: Order) {
        let arenas = &self.arenas;
        if let Some(process) = self.processes.iter_mut().find(|process| process.id == child) {
            process.tell(order, arenas);
        }
    }

    fn kill(&self, child: ChildId, force: Force) {
        let signal = match force {
            Force::Abort => Number::SIGABRT,
            Force::Kill => Number::SIGKILL,
        };
        // Not reaped yet, or it would not be in the table: the pid is still its own.
        if let Some(process) = self.processes.iter().find(|process| process.id == child)
            && let Err(error) = kill(process.pid, signal)
        {
            tracing::warn!(%error, "{child} could not be sent {signal}");
        }
    }

    /// The address, once: a reload is ready again, too.
    fn announce(&mut self) {
        if std::mem::replace(&mut self.announced, true) {
            return;
        }
        let procs = self.config.service.procs();
        let (address, model) = (self.board.listen(), self.board.model());
        let scheme = if self.config.tls.is_on() { "https" } else { "http" };
        tracing::info!(%address, "serving {model} on {scheme}://{address} with {procs} frontends");
        if let Some((_, refused)) = self.predecessor.change() {
            self.predecessor.retire(self.config.service.drain_timeout + LAST_CALL);
            match refused {
                None => {
                    self.board.end_change(true, concat!("upgraded to detectd ", env!("CARGO_PKG_VERSION")))
                }
                Some(why) => {
                    let text = format!("the upgrade was taken back, nothing changed: {why}");
                    tracing::error!("{text}");
                    self.board.end_change(false, &text);
                }
            }
        }
    }

    /// Becomes the program at `path`. Returns only when that fails: why.
    fn hand_over(&mut self) -> String {
        let timeout = self.config.service.drain_timeout;
        let mut former = Vec::new();
        for process in &mut self.processes {
            let ready = block(&self.board, process.id).state() == ProcessState::Ready;
            let line = if ready { process.hand_over(timeout) } else { None };
            if line.is_none() {
                // It does not serve, or does not listen: nobody will miss it.
                let _ = kill(process.pid, Number::SIGKILL);
            }
            former.push(Former { pid: process.pid, kind: process.id.kind, line });
        }
        let attempt = || -> std::io::Result<std::io::Error> {
            for leaving in self.predecessor.leaving() {
                let line = leaving.line.as_ref().map(OwnedFd::try_clone).transpose()?;
                former.push(Former { pid: leaving.pid, kind: leaving.kind, line });
            }
            let bells = usize::from(self.config.service.procs());
            let listeners = self.frontend_fds.iter().skip(bells).map(OwnedFd::try_clone);
            let handover = Handover {
                listeners: listeners.collect::<std::io::Result<_>>()?,
                former,
                exe: self.program.exe()?,
                path: self.path.clone(),
                arguments: std::env::args_os().collect(),
                change: self.board.changes().begun,
                config: serde_json::to_value(&self.config)?,
                refused: None,
            };
            self.leave_signals()?;
            Ok(handover.to_path())
        };
        let error = attempt().unwrap_or_else(|error| error);
        let _ = handover::hold_signals(false);
        error.to_string()
    }
}

/// A child's block on the board.
fn block(board: &Board, child: ChildId) -> shm_proto::board::Process<'_> {
    match child.kind {
        Kind::Engine => board.engine(child.slot),
        Kind::Frontend => board.frontend(child.slot),
    }
}

/// Days since 1970-01-01 by the local calendar: visitors are counted by day.
fn today() -> u32 {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    let days = jiff::Zoned::now().date().since(epoch).map_or(0, |span| span.get_days());
    u32::try_from(days).unwrap_or(0)
}
