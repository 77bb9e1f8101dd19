//! What a reload changes: which keys differ, and who takes them up.

use super::Config;
use super::load::{keys, lookup};
use toml::Table;

/// What a new frontend takes up: sections and keys. Everything else belongs to engine and supervisor and waits for a
/// restart; so does the form of log lines, which would be two forms in one stream.
const FRONTENDS: [&str; 4] = ["frontend", "inputs", "images", "log.level"];

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
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
    let (frontends, restart) = changed
        .partition(|key| FRONTENDS.iter().any(|part| key == part || key.starts_with(&format!("{part}."))));
    Changes { frontends, restart }
}
