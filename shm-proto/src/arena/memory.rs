//! How much memory may still be had: the machine's, and the control group's when it has a limit. Reads `/proc` and
//! `/sys`, keeps nothing.

use std::fs::read_to_string;

/// Bytes that may still be reserved; `None` when nobody says.
pub(super) fn available() -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    match (machine, cgroup()) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// What this process's control group (version 2) may still take. File cache counts as taken, so this errs towards
/// caution only where the limit is near.
fn cgroup() -> Option<u64> {
    let membership = read_to_string("/proc/self/cgroup").ok()?;
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = format!("/sys/fs/cgroup{}", path.trim_end_matches('/'));
    let number = |file: &str| read_to_string(format!("{folder}/{file}")).ok()?.trim().parse::<u64>().ok();
    let inactive_file = read_to_string(format!("{folder}/memory.stat"))
        .ok()
        .and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok())
        })
        .unwrap_or(0);
    // "max" is no number: there is no limit.
    Some((number("memory.max")? + inactive_file).saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_says_what_is_available() {
        let text = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(super::meminfo(text), Some(23_000_000 * 1024));
        assert_eq!(super::meminfo("MemTotal: 1 kB"), None);
        assert!(super::available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
