//! A service or a batch that was started does not outlive who started it: on SIGTERM, SIGINT and SIGHUP it is told to stop before this
//! process goes, and made to go on where it stands still. (A SIGKILL leaves it running; `detectd status` finds a service.)

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Mutex, Once, PoisonError};

/// The child's process; 0: none. A number and nothing that hangs on it, hence Relaxed.
static CHILD: AtomicI32 = AtomicI32::new(0);
static WATCHING: Once = Once::new();
/// Processes that were made to stand still, parents first.
static STOPPED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// This is the child now.
pub fn watch(child: Pid) {
    CHILD.store(child.as_raw(), Relaxed);
    WATCHING.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGHUP]) else { return };
        let wait = move || {
            for signal in signals.forever() {
                let child = CHILD.load(Relaxed);
                if child > 0 {
                    // It may have ended meanwhile.
                    let _ = kill(Pid::from_raw(child), Signal::SIGTERM);
                }
                // Held until this process is gone: nothing else is stopped meanwhile.
                let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
                continue_all(&mut stopped);
                let _ = emulate_default_handler(signal);
            }
        };
        // Without the thread signals would be swallowed, but a system that gives none has started no service either.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    });
}

/// It has ended.
pub fn forget() {
    CHILD.store(0, Relaxed);
}

/// Makes a process stand still until [`go_on`]. Nobody waits for it before, so its number stays its own.
///
/// # Errors
/// The system's.
pub fn stop(pid: Pid) -> nix::Result<()> {
    // Both under the lock: who has stopped one must know of it when a signal comes.
    let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    kill(pid, Signal::SIGSTOP)?;
    stopped.push(pid);
    Ok(())
}

/// Lets all of them go on, children first, so that who watches them finds them at work.
pub fn go_on() {
    continue_all(&mut STOPPED.lock().unwrap_or_else(PoisonError::into_inner));
}

fn continue_all(stopped: &mut Vec<Pid>) {
    for pid in stopped.drain(..).rev() {
        // One that was killed meanwhile needs no word.
        let _ = kill(pid, Signal::SIGCONT);
    }
}
