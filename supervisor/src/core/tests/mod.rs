//! Stories: `scripts` plays them by hand, `simulation` by chance.

mod scripts;
mod simulation;

use super::event::{Action, Ending, Event, Force, Message, Model, Notice, Order, Signal, State};
use super::*;

/// Settings with round numbers.
pub fn settings(frontends: u8) -> Settings {
    Settings {
        frontends,
        drain_timeout: Duration::from_secs(30),
        start_timeout: Duration::from_secs(120),
        frontend_silence: Duration::from_secs(3),
        engine_silence: Duration::from_secs(10),
        policy: Policy::default(),
        standby: false,
    }
}

/// A model told apart from others by its number.
pub fn model(number: u64) -> Model {
    Model {
        input_bytes: number,
        output_bytes: vec![number],
        max_batch: 1,
        lanes: 1,
        identity: format!("model {number}"),
        description: number.to_string(),
        title: String::new(),
    }
}

/// `e.1`: the first engine; `e1.1`: the first in the other place; `f0.2`: the second frontend in slot 0.
pub fn name(id: ChildId) -> String {
    match id.kind {
        Kind::Engine if id.slot == 0 => format!("e.{}", id.generation),
        Kind::Engine => format!("e{}.{}", id.slot, id.generation),
        Kind::Frontend => format!("f{}.{}", id.slot, id.generation),
    }
}

/// The reverse of [`name`].
pub fn child(name: &str) -> ChildId {
    let (place, generation) = name.split_once('.').expect("place.generation");
    let (kind, slot) = match (place.strip_prefix('f'), place.strip_prefix('e')) {
        (Some(slot), _) => (Kind::Frontend, slot.parse().expect("slot")),
        (None, Some("") | None) => (Kind::Engine, 0),
        (None, Some(slot)) => (Kind::Engine, slot.parse().expect("slot")),
    };
    ChildId { kind, slot, generation: generation.parse().expect("generation") }
}

/// An action in few words; `None` for log lines, which are for people.
pub fn words(action: &Action) -> Option<String> {
    Some(match action {
        Action::Spawn(id) => format!("spawn {}", name(*id)),
        Action::Tell(id, Order::Attach { generation }) => format!("attach {} to {generation}", name(*id)),
        Action::Tell(id, Order::Drain { .. }) => format!("drain {}", name(*id)),
        Action::Tell(id, Order::Stop) => format!("stop {}", name(*id)),
        Action::CreateArena { generation, .. } => format!("arena {generation}"),
        Action::DropArena { generation } => format!("drop arena {generation}"),

        Action::Reclaim { child, .. } => format!("reclaim {}", name(*child)),
        Action::Show { generation } => format!("show {generation}"),
        Action::Report { good: true, .. } => "REPORT good".to_owned(),
        Action::Report { good: false, .. } => "REPORT bad".to_owned(),
        Action::Kill(id, Force::Abort) => format!("abort {}", name(*id)),
        Action::Kill(id, Force::Kill) => format!("kill {}", name(*id)),
        Action::Publish(State::Starting) => "starting".to_owned(),
        Action::Publish(State::Ready) => "serving".to_owned(),
        Action::Publish(State::EngineDown) => "engine down".to_owned(),
        Action::Publish(State::Draining) => "draining".to_owned(),
        Action::Notify(Notice::Ready) => "READY".to_owned(),
        Action::Notify(Notice::Reloading) => "RELOADING".to_owned(),
        Action::Notify(Notice::Stopping) => "STOPPING".to_owned(),
        Action::Notify(Notice::Status(_)) | Action::Log(..) => return None,
        Action::CheckProgram => "check program".to_owned(),
        Action::HandOver => "hand over".to_owned(),
        Action::Reload => "reload".to_owned(),
        Action::Revert => "revert".to_owned(),
        Action::Exit { exit, .. } => format!("exit {}", *exit as i32),
    })
}
