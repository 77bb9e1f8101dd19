//! What a reload changes: which keys differ, and who takes them up.

use super::Config;
use super::load::{keys, lookup};
use toml::Table;

/// Sections that a new frontend takes up; everything else belongs to engine and supervisor and waits for a restart.
const FRONTEND_SECTIONS: [&str; 4] = ["frontend", "inputs", "images", "log"];

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
    let (frontends, restart) =
        changed.partition(|key| FRONTEND_SECTIONS.contains(&key.split('.').next().unwrap_or_default()));
    Changes { frontends, restart }
}
