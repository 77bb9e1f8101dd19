//! The supervisor's decisions: a pure function from (state, event) to (state, actions).
//!
//! The service goes through five phases. **Starting**: engine and frontends are spawned at once; the engine's model
//! decides the arena; when everybody is ready the service is **Running**. A child that dies is reaped, its seats are
//! taken back, and only then is it replaced, sooner or later as [`restart`] says. SIGTERM makes it **Draining**:
//! frontends finish what they hold while the engine still serves them. Then it is **Stopping**: what is left is told to leave,
//! later killed; when nothing is left, **Stopped**.
//!
//! No pid, descriptor, clock or random number is made here, so that tests can play any story in no time.

pub mod child;
pub mod event;
pub mod pulse;
pub mod restart;

mod arena;
mod deaths;
mod engines;
mod reload;
mod shutdown;
mod upgrade;

pub use shutdown::LAST_CALL;

use child::{Child, ChildId, Kind, Life};
use event::{Action, Event, Message, Notice, Signal, State};
use restart::Policy;
use std::time::{Duration, Instant};
use tracing::Level;

/// What the core needs to know of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Number of frontends.
    pub frontends: u8,
    /// Time for the requests in flight when the service stops or a frontend is replaced.
    pub drain_timeout: Duration,
    /// Time for a child to show its first heartbeat, and for the engine to load and warm the model.
    pub start_timeout: Duration,
    /// Longest silence of a frontend.
    pub frontend_silence: Duration,
    /// Longest silence of a warm engine.
    pub engine_silence: Duration,
    /// When to retry, when to give up.
    pub policy: Policy,
    /// Whether a second engine waits with the model loaded.
    pub standby: bool,
}

/// Phases of the service, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not everybody was ready yet.
    Starting,
    /// Everybody was ready once.
    Running,
    /// Frontends finish what they hold.
    Draining,
    /// Everybody leaves.
    Stopping,
    /// Nobody is left.
    Stopped,
}

/// The state.
pub struct Supervisor {
    settings: Settings,
    phase: Phase,
    /// The engines' places, then the frontends' by slot.
    children: Vec<Child>,
    engines: engines::Engines,
    arena: arena::Arenas,
    reload: reload::Reload,
    shutdown: shutdown::Shutdown,
    published: Option<State>,
    chance: fastrand::Rng,
    actions: Vec<Action>,
}

impl Supervisor {
    /// A supervisor before [`Event::Begin`]. `seed` feeds the jitter of restarts.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let engines = (0..engines::PLACES).map(|slot| (Kind::Engine, slot as u8));
        let places = engines.chain((0..settings.frontends).map(|slot| (Kind::Frontend, slot)));
        Self {
            phase: Phase::Starting,
            children: places.map(|(kind, slot)| Child::new(kind, slot)).collect(),
            engines: engines::Engines::default(),
            arena: arena::Arenas::default(),
            reload: reload::Reload::default(),
            shutdown: shutdown::Shutdown::default(),
            published: None,
            chance: fastrand::Rng::with_seed(seed),
            actions: Vec::new(),
            settings,
        }
    }

    /// Takes note of an event and says what to do about it, in order.
    pub fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        use Phase::{Draining, Running, Starting, Stopped, Stopping};
        match (self.phase, event) {
            (Stopped, _) => {} // the process is about to exit; nothing that happens matters any more

            (Starting, Event::Begin) => self.begin(),
            (Running | Draining | Stopping, Event::Begin) => {} // the driver says it once, first

            (_, Event::SpawnFailed { child, error }) => self.spawn_failed(child, &error, now),
            (_, Event::Exited { child, how }) => self.exited(child, how, now),
            (_, Event::Timer) => self.timer(now),

            (Starting | Running | Draining, Event::Said { child, message }) => self.said(child, message, now),
            (Stopping, Event::Said { child, message }) => self.last_words(child, message),

            (Starting | Running | Draining, Event::Silent { child, quiet }) => self.silent(child, quiet, now),
            (Stopping, Event::Silent { .. }) => {} // every child has a time to die already

            (Starting | Running | Draining, Event::ArenaMade { generation }) => self.arena_made(generation),
            (Stopping, Event::ArenaMade { generation }) => self.act(Action::DropArena { generation }),
            (Starting | Running | Draining, Event::ArenaFailed { error }) => self.arena_failed(error, now),
            (Stopping, Event::ArenaFailed { .. }) => {} // not needed any more

            (Starting | Running, Event::Signal(Signal::Term | Signal::Int)) => self.drain(now),
            (Draining, Event::Signal(Signal::Term | Signal::Int)) => self.kill_the_rest(now),
            (Stopping, Event::Signal(Signal::Term | Signal::Int)) => self.kill_the_rest(now),

            (Starting | Running, Event::Signal(Signal::Hup)) => self.reload_wanted(),
            (Draining | Stopping, Event::Signal(Signal::Hup)) => {
                self.log(Level::WARN, "SIGHUP: not reloading, the service is stopping");
            }
            (Starting | Running, Event::Reloaded { engine, frontends, restart }) => {
                self.reloaded(engine, frontends, &restart, now)
            }
            (Starting | Running, Event::ReloadRefused { error }) => self.reload_refused(&error, now),
            (Draining | Stopping, Event::Reloaded { .. } | Event::ReloadRefused { .. }) => {} // nobody starts with it

            (_, Event::Signal(Signal::Usr1)) => {
                self.log(Level::INFO, "SIGUSR1: no log file is open (logs go to stderr), nothing to reopen");
            }
            (Starting | Running, Event::Signal(Signal::Usr2)) => self.upgrade_wanted(),
            (Draining | Stopping, Event::Signal(Signal::Usr2)) => {
                self.log(Level::WARN, "SIGUSR2: not upgrading, the service is stopping");
            }
            (Starting | Running, Event::ProgramChecked { error }) => self.program_checked(error),
            (Starting | Running, Event::HandOverFailed { error }) => self.upgrade_refused(&error),
            (Draining | Stopping, Event::ProgramChecked { .. } | Event::HandOverFailed { .. }) => {} // nobody serves with it
        }
        self.settle(now);
        std::mem::take(&mut self.actions)
    }

    /// When to send [`Event::Timer`] at the latest, if at all.
    pub fn deadline(&self) -> Option<Instant> {
        self.children.iter().filter_map(Child::deadline).chain(self.shutdown.deadline()).min()
    }

    /// How long this child's heartbeat may stand still now; `None`: it is not watched (gone, or leaving already).
    pub fn patience(&self, id: ChildId, has_beaten: bool) -> Option<Duration> {
        let child = self.current(id)?;
        match (child.life, id.kind) {
            (Life::Starting, Kind::Engine) => Some(self.settings.start_timeout),
            (Life::Starting, Kind::Frontend) if !has_beaten => Some(self.settings.start_timeout),
            (Life::Starting | Life::Ready { .. }, Kind::Frontend) => Some(self.settings.frontend_silence),
            (Life::Ready { .. }, Kind::Engine) => Some(self.settings.engine_silence),
            // It has a time to die already, but its clients should not have to wait for that.
            (Life::Leaving { .. }, Kind::Frontend) => Some(self.settings.frontend_silence),
            (Life::Gone | Life::Waiting { .. } | Life::Killed, _) => None,
            (Life::Leaving { .. }, Kind::Engine) | (Life::Aborting { .. }, _) => None, // it has a time to die already
        }
    }

    /// The phase, for the driver's systemd messages.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    fn begin(&mut self) {
        self.spawn(self.engines.serving());
        for index in engines::PLACES..self.children.len() {
            self.spawn(index);
        }
    }

    /// Fills an empty place. Callers have made sure that the last occupant was reaped and its seats taken back.
    fn spawn(&mut self, index: usize) {
        let child = &mut self.children[index];
        debug_assert!(!child.is_live(), "{} is still there", child.id);
        child.id.generation = child.id.generation.wrapping_add(1).max(1);
        child.life = Life::Starting;
        child.last_words = None;
        child.arena = None;
        let id = child.id;
        self.act(Action::Spawn(id));
        if let (Kind::Frontend, Some(generation)) = (id.kind, self.arena_to_join()) {
            self.attach(id, generation);
        }
    }

    fn said(&mut self, id: ChildId, message: Message, now: Instant) {
        let Some(index) = self.index(id).filter(|&index| self.children[index].is_live()) else { return };
        match message {
            Message::Model(model) => self.model_loaded(id, model),
            Message::Ready { generation } => self.ready(index, generation, now),
            Message::Drained => self.drained(index, now),
            Message::Fatal { .. } => self.last_words(id, message),
            Message::Status(text) => {
                self.log(Level::INFO, format!("{id}: {text}"));
                if self.phase == Phase::Starting {
                    self.act(Action::Notify(Notice::Status(format!("{id}: {text}"))));
                }
            }
        }
    }

    fn last_words(&mut self, id: ChildId, message: Message) {
        if let (Some(index), Message::Fatal { exit, message }) = (self.index(id), message) {
            self.children[index].last_words = Some((exit, message));
        }
    }

    fn ready(&mut self, index: usize, generation: u32, now: Instant) {
        let child = &mut self.children[index];
        if child.arena != Some(generation) {
            return; // it speaks of an arena that was replaced meanwhile; it will speak again
        }
        if child.life == Life::Starting {
            child.life = Life::Ready { since: now };
            let id = child.id;
            self.log(Level::INFO, format!("{id} is ready"));
            if self.phase == Phase::Running {
                self.roll_on(id, now);
            }
        }
    }

    fn silent(&mut self, id: ChildId, quiet: Duration, now: Instant) {
        let Some(index) = self.index(id) else { return };
        let patience = now + id.kind.traits().abort_timeout;
        let kill_at = match self.children[index].life {
            Life::Starting | Life::Ready { .. } => Some(patience),
            Life::Leaving { kill_at } => Some(kill_at.min(patience)),
            Life::Gone | Life::Waiting { .. } | Life::Aborting { .. } | Life::Killed => None,
        };
        if let Some(kill_at) = kill_at {
            self.children[index].life = Life::Aborting { kill_at };
            self.log(
                Level::ERROR,
                format!("{id} showed no heartbeat for {:.1} s: aborting it", quiet.as_secs_f64()),
            );
            self.act(Action::Kill(id, event::Force::Abort));
        }
    }

    fn timer(&mut self, now: Instant) {
        for index in 0..self.children.len() {
            let id = self.children[index].id;
            match self.children[index].life {
                Life::Waiting { until } if until <= now => self.spawn(index),
                Life::Leaving { kill_at } if kill_at <= now => {
                    self.log(Level::WARN, format!("{id} did not leave in time: killing it"));
                    self.kill(index);
                }
                Life::Aborting { kill_at } if kill_at <= now => self.kill(index),
                Life::Waiting { .. } | Life::Leaving { .. } | Life::Aborting { .. } => {} // not yet
                Life::Gone | Life::Starting | Life::Ready { .. } | Life::Killed => {} // no timer of their own
            }
        }
        self.give_up_waiting(now);
    }

    fn kill(&mut self, index: usize) {
        let child = &mut self.children[index];
        child.life = Life::Killed;
        let id = child.id;
        self.act(Action::Kill(id, event::Force::Kill));
    }

    /// What follows from the state alone, after every event: the next phase, and what the world is shown.
    fn settle(&mut self, now: Instant) {
        let serving = self.children[self.engines.serving()].is_ready();
        if self.phase == Phase::Starting && serving && self.frontends().all(Child::is_ready) {
            self.phase = Phase::Running;
            self.publish();
            self.act(Action::Notify(Notice::Ready));
            self.change_if_wanted();
        }
        self.keep_standby();
        self.publish();
        self.settle_shutdown(now);
    }

    fn publish(&mut self) {
        let state = self.state();
        if self.published.replace(state) == Some(state) {
            return;
        }
        self.act(Action::Publish(state));
        let text = match state {
            State::Starting => "starting",
            State::Ready => "serving",
            State::EngineDown => "degraded: requests wait until engine and frontends are back",
            State::Draining => "draining: finishing what is in flight",
        };
        self.act(Action::Notify(Notice::Status(text.to_owned())));
    }

    /// The service's state as it follows from phase and children.
    fn state(&self) -> State {
        match self.phase {
            Phase::Starting => State::Starting,
            Phase::Draining | Phase::Stopping | Phase::Stopped => State::Draining,
            Phase::Running => {
                let engine = &self.children[self.engines.serving()];
                let served = engine.is_ready() && self.frontends().any(Child::is_ready);
                if served { State::Ready } else { State::EngineDown }
            }
        }
    }

    fn index(&self, id: ChildId) -> Option<usize> {
        let index = match id.kind {
            Kind::Engine => usize::from(id.slot),
            Kind::Frontend => engines::PLACES + usize::from(id.slot),
        };
        (self.children.get(index)?.id == id).then_some(index)
    }

    fn current(&self, id: ChildId) -> Option<&Child> {
        self.index(id).map(|index| &self.children[index])
    }

    fn frontends(&self) -> impl Iterator<Item = &Child> {
        self.children.iter().skip(engines::PLACES)
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.act(Action::Log(level, text.into()));
    }
}

#[cfg(test)]
mod tests;
