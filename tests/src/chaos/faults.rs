//! What is done to a service, and what is seen of it meanwhile, from outside: signals, `/proc`, the board.

use super::ledger::Ledger;
use crate::service::{Service, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::ProcessState;
use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

/// Ports of the clients whose connections this process holds.
pub fn clients_of(pid: Pid) -> Vec<u16> {
    let sockets: HashSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .map(|entries| {
            entries
                .flatten()
                .filter_map(|entry| fs::read_link(entry.path()).ok())
                .filter_map(|link| {
                    Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
                })
                .collect()
        })
        .unwrap_or_default();
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let client = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (remote, inode) = (fields.get(2)?, fields.get(9)?);
        let port = u16::from_str_radix(remote.rsplit(':').next()?, 16).ok()?;
        (sockets.contains(*inode) && port != 0).then_some(port)
    };
    table.lines().skip(1).filter_map(client).collect()
}

/// Whether a process of this number exists and is no zombie.
pub fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// Stops a frontend, notes whose connections it holds, and kills it. The instant of the kill.
pub fn kill_frontend(service: &Service, slot: usize, ledger: &Ledger) -> Instant {
    let pid = service.frontends()[slot];
    // Stopped first, so that it neither takes nor closes a connection between the look and the kill.
    let _ = kill(pid, Signal::SIGSTOP);
    ledger.excuse(&clients_of(pid), &format!("frontend {slot} was killed"));
    let now = Instant::now();
    let _ = kill(pid, Signal::SIGKILL);
    now
}

/// The engine that serves: its place and its process.
pub fn engine(service: &Service) -> Option<(u8, Pid)> {
    let board = service.board();
    (0..2)
        .find(|&slot| board.engine(slot).state() == ProcessState::Ready)
        .map(|slot| (slot, Pid::from_raw(board.engine(slot).pid().cast_signed())))
}

/// Waits for an engine that serves.
pub fn serving_engine(service: &Service) -> (u8, Pid) {
    wait_for("an engine that serves", || engine(service))
}

/// Waits until the engine that serves is another than `old`: when that was seen.
pub fn next_engine(service: &Service, old: Pid) -> Instant {
    wait_for("the next engine", || engine(service).filter(|(_, pid)| *pid != old));
    Instant::now()
}

/// Waits until another process than `old` works in this frontend's place: when that was seen.
pub fn next_frontend(service: &Service, slot: usize, old: Pid) -> Instant {
    let board = service.board();
    let mut begun = Instant::now();
    loop {
        let process = board.frontend(slot as u8);
        if process.pid().cast_signed() != old.as_raw() && process.state() == ProcessState::Ready {
            return Instant::now();
        }
        assert!(begun.elapsed() < crate::service::PATIENCE, "no frontend {slot} followed the dead one");
        std::thread::sleep(Duration::from_millis(1));
        if process.pid().cast_signed() != old.as_raw() && process.state() == ProcessState::Dead {
            begun = Instant::now(); // it died, too: the next one has its own time
        }
    }
}

/// Waits until every place is taken by a process that works.
pub fn whole(service: &Service) {
    wait_for("a whole service", || {
        let board = service.board();
        let frontends =
            (0..board.frontends() as u8).all(|slot| board.frontend(slot).state() == ProcessState::Ready);
        (frontends && engine(service).is_some() && board.state() == shm_proto::board::ServiceState::Ready)
            .then_some(())
    });
}

/// Waits until what queued up has been answered, so that one fault's backlog is not the next one's. On a machine that has become
/// too slow for the rate it never is: then it goes on.
pub fn calm(service: &Service) {
    whole(service);
    let begun = Instant::now();
    while service.board().in_flight() > 3 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a standby engine.
pub fn standby(service: &Service) {
    let board = service.board();
    wait_for("a standby", || {
        (0..2).any(|slot| board.engine(slot).state() == ProcessState::Standby).then_some(())
    });
}

/// Children of the supervisor; those that are dead and not reaped, too.
pub fn children(service: &Service) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", service.pid());
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
