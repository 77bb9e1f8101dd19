//! What a frontend gives up before it sees a byte from outside: system calls it never makes (seccomp), files it never opens and
//! ports it never listens on (Landlock). A decoder that is taken over cannot start a program, read another file or write one.
//!
//! Both bind the thread that calls and every thread it starts later, so this comes before all threads. What a system does not
//! have is left out and said: a frontend serves all the same, and `detectd status` shows what is in force.

mod syscalls;
#[cfg(test)]
mod tests;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use serde::{Deserialize, Serialize};
use shm_proto::board::Guards;
use std::path::PathBuf;

/// `[sandbox]`: what frontends give up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// Whether files and ports are.
    pub landlock: bool,
    /// Folders and files that may be read besides those that the configuration names elsewhere.
    pub read: Vec<PathBuf>,
    /// Folders in which files may be made and written.
    pub write: Vec<PathBuf>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { seccomp: true, landlock: true, read: Vec::new(), write: Vec::new() }
    }
}

/// What the C library reads to resolve a name, and the runtime to count cores.
const SYSTEM: [&str; 12] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/null",
    "/dev/urandom",
];

/// Gives up what is configured, and says what is in force now. Must be called while the process has one thread.
pub fn enter(config: &SandboxConfig) -> Guards {
    let mut guards = Guards::default();
    if config.landlock {
        match restrict(config) {
            Ok(RulesetStatus::NotEnforced) => {
                tracing::warn!("this kernel has no Landlock: frontends may open what their user may");
            }
            Ok(_) => guards.landlock = true,
            Err(error) => tracing::warn!(%error, "Landlock is not in force"),
        }
    }
    if config.seccomp {
        match syscalls::filter() {
            Ok(()) => guards.seccomp = true,
            Err(error) => tracing::warn!(%error, "seccomp is not in force"),
        }
    }
    guards
}

/// Takes away every access to files and ports but the listed. Connecting stays: `type=url` lives by it, and has rules of its own.
fn restrict(config: &SandboxConfig) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V6;
    let read = SYSTEM.iter().map(PathBuf::from).chain(config.read.iter().cloned());
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(abi))?
        .create()?
        // Never to execute, so not what the crate calls reading.
        .add_rules(path_beneath_rules(read, AccessFs::ReadFile | AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(&config.write, AccessFs::from_all(abi) & !AccessFs::Execute))?
        .restrict_self()?;
    Ok(status.ruleset)
}
