//! What a reload changes: which keys differ, and who takes them up.

use super::Config;
use super::load::{keys, lookup};
use toml::Table;

/// What a new engine takes up.
const ENGINE: [&str; 2] = ["model", "engine"];
/// What belongs to the supervisor all the same.
const NOT_ENGINE: &str = "engine.standby";
/// What they do not: the supervisor owns the sockets.
const NOT_FRONTENDS: &str = "access.admin_listen";
/// What a new frontend takes up: sections and keys. Everything else belongs to the supervisor and waits for a
/// restart; so does the form of log lines, which would be two forms in one stream.
const FRONTENDS: [&str; 8] =
    ["frontend", "inputs", "images", "access", "tls", "sandbox", "harvest", "log.level"];

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys that a new engine takes up.
    pub engine: Vec<String>,
    /// Keys that new frontends take up.
    pub frontends: Vec<String>,
    /// Keys that only a restart of the service takes up.
    pub restart: Vec<String>,
}

/// Compares two configurations key by key.
pub fn changes(old: &Config, new: &Config) -> Changes {
    let (old, new) = (Table::try_from(old).unwrap_or_default(), Table::try_from(new).unwrap_or_default());
    let mut all = keys(&old);
    all.extend(keys(&new));
    all.sort_unstable();
    all.dedup();
    let changed = all.into_iter().filter(|key| lookup(&old, key) != lookup(&new, key));
    let among = |parts: &[&str], key: &str| {
        parts
            .iter()
            .any(|part| key.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let mut changes = Changes::default();
    for key in changed {
        let keys = if key == NOT_FRONTENDS {
            &mut changes.restart
        } else if among(&FRONTENDS, &key) {
            &mut changes.frontends
        } else if among(&ENGINE, &key) && key != NOT_ENGINE {
            &mut changes.engine
        } else {
            &mut changes.restart
        };
        keys.push(key);
    }
    changes
}
