//! A seeded simulation: a fake process table obeys the actions, chance makes processes die, hang, refuse and come late,
//! and the operator press buttons. After each step the rules that must never break are checked.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A fake process: what it was told, not what the supervisor believes.
#[derive(Clone, Copy, Default)]
struct Process {
    attached: Option<u32>,
    told_to_leave: bool,
    killed: bool,
    hangs: bool,
    loaded: bool,
}

struct World {
    supervisor: Supervisor,
    now: Instant,
    live: BTreeMap<ChildId, Process>,
    /// Dead, reaped, not yet reclaimed.
    owed: Vec<(ChildId, Option<u32>)>,
    arenas: Vec<u32>,
    exited: Option<i32>,
    chance: fastrand::Rng,
    /// What takes its time.
    later: Vec<Event>,
    model: u64,
}

impl World {
    fn new(frontends: u8, seed: u64) -> Self {
        let settings = Settings { standby: seed.is_multiple_of(3), ..settings(frontends) };
        Self {
            supervisor: Supervisor::new(settings, seed),
            now: Instant::now(),
            live: BTreeMap::new(),
            owed: Vec::new(),
            arenas: Vec::new(),
            exited: None,
            chance: fastrand::Rng::with_seed(seed),
            model: 1,
            later: Vec::new(),
        }
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.supervisor.step(event, self.now) {
                assert!(self.exited.is_none(), "an action after the exit: {action:?}");
                self.perform(action, &mut events);
            }
        }
        assert!(self.owed.is_empty(), "nobody took back the seats of {:?}", self.owed);
    }

    fn perform(&mut self, action: Action, events: &mut Vec<Event>) {
        match action {
            Action::Spawn(id) => {
                let occupied = self.live.keys().any(|other| (other.kind, other.slot) == (id.kind, id.slot));
                assert!(!occupied, "two live processes in the place of {id}");
                assert!(
                    !self.owed.iter().any(|(o, _)| (o.kind, o.slot) == (id.kind, id.slot)),
                    "{id} before the reclaim"
                );
                assert!(self.supervisor.phase() <= Phase::Draining, "{id} started while stopping");
                if self.chance.u8(..20) == 0 {
                    events.push(Event::SpawnFailed { child: id, error: "EAGAIN".to_owned() });
                } else {
                    self.live.insert(id, Process::default());
                    assert!(self.live.keys().filter(|id| id.kind == Kind::Engine).count() <= 2);
                }
            }
            Action::Tell(id, order) => {
                let arenas = self.arenas.clone();
                let Some(process) = self.live.get_mut(&id) else { return };
                match order {
                    Order::Attach { generation } => {
                        assert!(
                            arenas.contains(&generation),
                            "{id} is sent to arena {generation}, which is gone"
                        );
                        process.attached = Some(generation);
                    }
                    Order::Drain { .. } | Order::Stop => process.told_to_leave = true,
                }
            }
            Action::CreateArena { generation, .. } => {
                self.arenas.push(generation);
                events.push(Event::ArenaMade { generation });
            }
            Action::DropArena { generation } => self.arenas.retain(|&other| other != generation),
            Action::Reclaim { child: id, arena } => {
                let owed = self.owed.iter().position(|(owed, _)| *owed == id);
                if let Some(owed) = owed {
                    let (_, attached) = self.owed.remove(owed);
                    let gone = attached.is_some_and(|attached| !self.arenas.contains(&attached));
                    assert!(gone || arena == attached, "{id} held seats of {attached:?}, not of {arena:?}");
                }
                assert!(!self.live.contains_key(&id), "the seats of {id} were taken while it lives");
            }
            Action::Kill(id, Force::Kill) => {
                if let Some(process) = self.live.get_mut(&id) {
                    process.killed = true;
                }
            }
            Action::Kill(id, Force::Abort) => {
                if let Some(process) = self.live.get_mut(&id) {
                    process.killed |= self.chance.bool(); // a stopped process does not hear it
                }
            }
            Action::Exit { exit, .. } => self.exited = Some(exit as i32),
            Action::Reload => events.push(match self.chance.u8(..4) {
                0 => Event::ReloadRefused { error: "line 3".to_owned() },
                1 => Event::Reloaded { engine: false, frontends: true, restart: Vec::new() },
                _ => {
                    self.model += 1;
                    Event::Reloaded { engine: true, frontends: true, restart: Vec::new() }
                }
            }),
            Action::Show { generation } => {
                assert!(self.arenas.contains(&generation), "arena {generation} is shown and gone");
            }
            Action::CheckProgram => {
                let error = self.chance.bool().then(|| "no program".to_owned());
                self.later.push(Event::ProgramChecked { error });
            }
            // What follows when it works is another program's story.
            Action::HandOver => events.push(Event::HandOverFailed { error: "ENOEXEC".to_owned() }),
            Action::Publish(_)
            | Action::Notify(_)
            | Action::Revert
            | Action::Report { .. }
            | Action::Log(..) => {}
        }
    }

    fn end(&mut self, id: ChildId, how: Ending) {
        let attached = self.live.remove(&id).and_then(|process| process.attached);
        self.owed.push((id, attached));
        self.tell(Event::Exited { child: id, how });
    }

    /// Something happens to one process.
    fn live_on(&mut self, id: ChildId, calm: bool) {
        let Some(process) = self.live.get(&id).copied() else { return };
        if process.killed {
            return self.end(id, Ending::Signal(9));
        }
        if process.hangs {
            return self.tell(Event::Silent { child: id, quiet: Duration::from_secs(10) });
        }
        if process.told_to_leave && self.chance.u8(..4) > 0 {
            return self.end(id, Ending::Code(0));
        }
        match (self.chance.u8(..100), id.kind, process) {
            (0..4, _, _) if !calm => self.end(id, Ending::Signal(11)),
            (4..6, _, _) if !calm => {
                if let Some(process) = self.live.get_mut(&id) {
                    process.hangs = true;
                }
            }
            (6, _, _) if !calm => self.end(id, Ending::Code(75)),
            (_, Kind::Engine, Process { loaded: false, .. }) => {
                self.model += u64::from(!calm && self.chance.u8(..8) == 0);
                if let Some(process) = self.live.get_mut(&id) {
                    process.loaded = true;
                }
                self.tell(Event::Said { child: id, message: Message::Model(model(self.model)) });
            }
            (_, _, Process { attached: Some(generation), .. }) => {
                self.tell(Event::Said { child: id, message: Message::Ready { generation } });
            }
            _ => {}
        }
    }

    fn turn(&mut self, calm: bool) {
        self.now += Duration::from_millis(self.chance.u64(1..400));
        if self.supervisor.deadline().is_some_and(|at| at <= self.now) {
            self.tell(Event::Timer);
        }
        if self.chance.u8(..4) == 0
            && let Some(event) = self.later.pop()
        {
            self.tell(event);
        }
        let ids: Vec<ChildId> = self.live.keys().copied().collect();
        for id in ids {
            self.live_on(id, calm);
            if self.exited.is_some() {
                return;
            }
        }
    }
}

fn play(frontends: u8, seed: u64, turns: u32) {
    let mut world = World::new(frontends, seed);
    world.tell(Event::Begin);
    for _ in 0..turns {
        world.turn(false);
        if world.exited.is_none() && world.chance.u8(..60) == 0 {
            let signal = if world.chance.u8(..4) == 0 { Signal::Usr2 } else { Signal::Hup };
            world.tell(Event::Signal(signal));
        }
    }
    // A calm time: everybody who can be ready becomes ready.
    for _ in 0..400 {
        if world.exited.is_none() {
            world.turn(true);
        }
    }
    match world.exited {
        Some(code) => assert_eq!(code, 70, "only a crash loop may end the service by itself"),
        None => {
            assert_eq!(world.supervisor.state(), State::Ready, "it recovers");
            assert!(world.supervisor.reload.is_idle(), "a reload ends");
            let spare = usize::from(world.supervisor.settings.standby);
            assert_eq!(world.live.len(), 1 + spare + usize::from(frontends), "nobody is left over");
            assert_eq!(world.arenas.len(), 1, "no arena is left over");
        }
    }
    if world.exited.is_none() {
        world.tell(Event::Signal(Signal::Term));
    }
    let asked = world.now;
    while world.exited.is_none() {
        world.turn(false);
        assert!(world.now - asked < Duration::from_secs(60), "it never stops");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn whatever_happens_places_hold_one_process_seats_come_back_and_term_ends_it(
        frontends in 1u8..6, seed in any::<u64>(), turns in 0u32..400
    ) {
        play(frontends, seed, turns);
    }
}
