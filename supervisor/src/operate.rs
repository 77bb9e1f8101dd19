//! `detectd reload` and `detectd upgrade`: a signal to the supervisor of a running service, and the wait for what comes of it.
//!
//! The outcome stands on the board, so there is no protocol: whoever may signal the supervisor and read its board may ask.

use crate::Failure;
use crate::cli::OperateArgs;
use crate::status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::Board;
use shm_proto::control::Exit;
use std::io::Write;
use std::time::{Duration, Instant};

/// How often the board is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Sends the signal and waits for the outcome. Exit 0: the new configuration or program serves. 78: it was refused and
/// nothing changed. 75: no outcome within the time. 2: there is no such service.
pub fn run(args: &OperateArgs, signal: Signal) -> Result<(), Failure> {
    let name = match args.pid {
        Some(pid) => status::of_process(pid)?,
        None => status::find(args.name.as_deref(), args.listen.as_deref())?,
    };
    let board = Board::open(&name).map_err(Failure::usage)?;
    let pid = board.supervisor();
    let before = board.changes().begun;
    kill(Pid::from_raw(pid.cast_signed()), signal)
        .map_err(|error| Failure::usage(format!("supervisor {pid} of '{name}': {}", error.desc())))?;
    drop(board);
    let until = Instant::now() + args.timeout;
    while Instant::now() < until {
        std::thread::sleep(LOOK);
        // Opened anew each time: an upgraded service has a board of its own.
        let Ok(board) = Board::open(&name) else { continue };
        let changes = board.changes();
        // A change that had begun before is not the one that was asked for, and one follows it.
        if changes.ended > before && changes.ended == changes.begun {
            return if changes.good {
                // A reader that went away is no error.
                let _ = writeln!(std::io::stdout(), "{}", changes.text);
                Ok(())
            } else {
                Err(Failure { exit: Exit::Config, why: changes.text })
            };
        }
        if kill(Pid::from_raw(pid.cast_signed()), None).is_err() {
            return Err(Failure {
                exit: Exit::Internal,
                why: format!("supervisor {pid} of '{name}' has ended"),
            });
        }
    }
    let seconds = args.timeout.as_secs_f64();
    Err(Failure {
        exit: Exit::Temporary,
        why: format!("no outcome after {seconds} s; see the service's log"),
    })
}
