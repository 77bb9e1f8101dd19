//! A service at rest: what it holds when nobody asks for anything. After a scenario it is to be what it was before.

use super::faults::{children, is_alive};
use crate::service::{Service, wait_for};
use nix::unistd::Pid;
use shm_proto::SeatState;
use shm_proto::board::ProcessState;
use std::fs;

/// Descriptors by which a process may differ from the one before it: what was opened at the first use.
const LOOSE_FDS: usize = 2;
/// Growth of memory that is no leak: the allocators of new processes, what the runtime keeps for its widest moment.
const SHARE: f64 = 1.25;
const SLACK_KIB: u64 = 48 << 10;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The processes' roles with their descriptors and threads, the supervisor first.
    roles: Vec<(String, usize, usize)>,
    /// Resident memory of all that is not shared, in KiB.
    private: u64,
    /// Seats of the arena.
    seats: u32,
    /// Arenas that the supervisor has mapped.
    arenas: usize,
}

impl Rest {
    /// Waits until nothing is under way, and looks.
    pub fn of(service: &Service) -> Self {
        let board = service.board();
        wait_for("a service at rest", || {
            let board = service.board();
            let seats = board.seats();
            let idle = (0..board.frontends() as u8)
                .map(|slot| board.frontend(slot))
                .all(|process| process.state() == ProcessState::Ready && process.connections() == 0);
            let all_there = children(service).len() == workers(service).len();
            let (free, seats) = (seats.of(SeatState::Free), seats.0.iter().sum::<u32>());
            (idle && all_there && board.in_flight() == 0 && free > 0 && free == seats).then_some(())
        });
        let mut roles = vec![("supervisor".to_owned(), service.pid())];
        roles.extend(workers(service));
        let private = roles.iter().map(|(_, pid)| private_kib(*pid)).sum();
        let roles =
            roles.into_iter().map(|(role, pid)| (role, count(pid, "fd"), count(pid, "task"))).collect();
        let maps = fs::read_to_string(format!("/proc/{}/maps", service.pid())).unwrap_or_default();
        let arenas = maps.matches("detectd-arena").count();
        Self { roles, private, seats: board.seats().0.iter().sum(), arenas }
    }

    /// In which way the service is not what it was.
    pub fn complaints(&self, service: &Service) -> Vec<String> {
        // What leaves is given its time; what stays for ever is found.
        let mut all = Vec::new();
        for _ in 0..100 {
            all = self.compare(&Self::of(service));
            if all.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        all.extend(
            children(service).iter().filter(|pid| !is_alive(**pid)).map(|pid| format!("{pid} is a zombie")),
        );
        all
    }

    fn compare(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let names = |rest: &Self| rest.roles.iter().map(|(role, ..)| role.clone()).collect::<Vec<_>>();
        if names(self) != names(now) {
            all.push(format!("processes {:?} became {:?}", names(self), names(now)));
            return all;
        }
        for ((role, fds, threads), (_, fds_now, threads_now)) in self.roles.iter().zip(&now.roles) {
            if *fds_now > fds + LOOSE_FDS {
                all.push(format!("{role}: {fds} descriptors became {fds_now}"));
            }
            if threads != threads_now {
                all.push(format!("{role}: {threads} threads became {threads_now}"));
            }
        }
        if now.private > (self.private as f64 * SHARE) as u64 + SLACK_KIB {
            all.push(format!("{} KiB became {} KiB", self.private, now.private));
        }
        if self.seats != now.seats || now.arenas != 1 {
            all.push(format!("{} seats in {} arenas", now.seats, now.arenas));
        }
        all
    }
}

/// The children that the board knows, by role.
fn workers(service: &Service) -> Vec<(String, Pid)> {
    let board = service.board();
    let pid = |process: shm_proto::board::Process<'_>| Pid::from_raw(process.pid().cast_signed());
    let mut found = Vec::new();
    for (role, state) in [("engine", ProcessState::Ready), ("standby", ProcessState::Standby)] {
        let engines = (0..2).map(|slot| board.engine(slot)).filter(|process| process.state() == state);
        found.extend(engines.map(|process| (role.to_owned(), pid(process))));
    }
    let frontends =
        (0..board.frontends() as u8).map(|slot| (format!("frontend {slot}"), board.frontend(slot)));
    found.extend(
        frontends
            .filter(|(_, process)| process.state() == ProcessState::Ready)
            .map(|(role, process)| (role, pid(process))),
    );
    found
}

fn count(pid: Pid, what: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count)
}

fn private_kib(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
    };
    field("Private_Clean:") + field("Private_Dirty:")
}
