//! The scenarios, by what they do: to the engine, to frontends, to the supervisor, by way of clients, by operators' changes, by
//! more work than can be done, and two at a time.

mod changes;
mod clients;
mod engine;
mod frontend;
mod overload;
mod pairs;
mod supervisor;

pub use changes::{broken_changes, model_swaps, reloads, restarts_on_a_socket, upgrades};
pub use clients::{few_descriptors, slow_clients, vanishing_clients};
pub use engine::{engine_hangs, engine_kills, poison, standby_kills};
pub use frontend::{frontend_hangs, frontend_kills, short_pauses};
pub use overload::{overload_tenfold, overload_threefold};
pub use pairs::random_pairs;
pub use supervisor::supervisor_kill;

use super::Plan;
use super::report::Report;

/// A scenario and its name on the command line.
pub type Scenario = (&'static str, fn(&Plan) -> Report);

/// All of them, in the order of the table.
pub const ALL: &[Scenario] = &[
    ("engine-kills", engine_kills),
    ("standby-kills", standby_kills),
    ("frontend-kills", frontend_kills),
    ("engine-hangs", engine_hangs),
    ("frontend-hangs", frontend_hangs),
    ("short-pauses", short_pauses),
    ("reloads", reloads),
    ("model-swaps", model_swaps),
    ("upgrades", upgrades),
    ("socket-restarts", restarts_on_a_socket),
    ("broken-changes", broken_changes),
    ("supervisor-kill", supervisor_kill),
    ("overload-3", overload_threefold),
    ("overload-10", overload_tenfold),
    ("slow-clients", slow_clients),
    ("vanishing-clients", vanishing_clients),
    ("few-descriptors", few_descriptors),
    ("poison", poison),
    ("pairs", random_pairs),
];

/// The settings of most scenarios: a model that takes some 30 ms an image on one lane, so that a fault always meets requests in
/// every state; as many deaths as a scenario wants; nobody refused for having to wait while something is replaced.
fn settings(more: &str) -> String {
    let model = crate::service::with_model("slow");
    // One width of runs, so that every engine has as many threads as the one before.
    let base = "[engine]\nlanes = 1\nidle_threads = 1\n[service]\nmax_restarts = 100000\n[frontend]\nrt_target = \"30s\"\n";
    let mut all: toml::Table = format!("{model}{base}").parse().expect("our settings");
    crate::service::merge(&mut all, more.parse().expect("the scenario's settings"));
    all.to_string()
}
