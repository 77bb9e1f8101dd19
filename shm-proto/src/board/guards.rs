//! What a process has given up, as its block on the board says it.

/// What is in force in a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Its system calls are filtered.
    pub seccomp: bool,
    /// Which files and ports it may open is limited.
    pub landlock: bool,
}

impl Guards {
    /// As a word; 0 is none.
    pub(super) fn encode(self) -> u32 {
        u32::from(self.seccomp) | u32::from(self.landlock) << 1
    }

    pub(super) fn decode(word: u32) -> Self {
        Self { seccomp: word & 1 > 0, landlock: word & 2 > 0 }
    }

    /// Names of those in force.
    pub fn names(self) -> Vec<&'static str> {
        let all = [("seccomp", self.seccomp), ("landlock", self.landlock)];
        all.into_iter().filter(|(_, is_in_force)| *is_in_force).map(|(name, _)| name).collect()
    }
}

impl std::fmt::Display for Guards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.names();
        f.pad(&if names.is_empty() { "-".to_owned() } else { names.join("+") })
    }
}
