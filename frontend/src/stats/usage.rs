//! What a process takes of the machine, as the kernel says it in `/proc`. Nothing is said of a process that has gone or that we may
//! not look at.

use nix::unistd::{SysconfVar, sysconf};
use std::fs;

/// Memory and processor time of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes that are its own.
    pub memory: u64,
    /// Bytes of shared memory that it has touched: the arena's, counted with each process.
    pub shared: u64,
    /// Seconds of processor time since it started.
    pub cpu: f64,
}

/// What the process takes now.
pub fn of(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(&status, &stat, ticks())
}

fn parse(status: &str, stat: &str, ticks: f64) -> Option<Usage> {
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    // The name, in parentheses, may hold anything; fields are counted from behind it: utime and stime are 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    let cpu = (next()? + next()?) / ticks;
    let memory = (kib("RssAnon")? + kib("RssFile")?) * 1024;
    Some(Usage { memory, shared: kib("RssShmem")? * 1024, cpu })
}

/// Ticks of the processor clock in a second.
fn ticks() -> f64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100.0, |ticks| ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\tx\nRssAnon:\t    100 kB\nRssFile:\t      20 kB\nRssShmem:\t     3 kB\n";
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        let expected = Usage { memory: 120 << 10, shared: 3 << 10, cpu: 3.0 };
        assert_eq!(parse(status, stat, 100.0), Some(expected));
        assert_eq!(parse("", stat, 100.0), None);
        assert_eq!(parse(status, "7 (a", 100.0), None);
    }

    #[test]
    fn a_process_that_is_there_takes_something() {
        let ours = of(std::process::id()).expect("ourselves");
        assert!(ours.memory > 1 << 20, "{ours:?}");
        assert_eq!(of(u32::MAX), None);
    }
}
