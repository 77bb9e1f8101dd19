//! A service that was started does not outlive who started it: on SIGTERM, SIGINT and SIGHUP it is told to stop before this
//! process goes. (A SIGKILL leaves it running; `detectd status` finds it.)

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The service's process; 0: none. A number and nothing that hangs on it, hence Relaxed.
static CHILD: AtomicI32 = AtomicI32::new(0);
static WATCHING: Once = Once::new();

/// This is the service now.
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
