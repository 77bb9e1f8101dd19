//! How a batch's processes share the cores. Nobody waits for one answer of a batch, so whoever runs is not interrupted for whoever
//! wakes, and goes on for longer than usual: a lane finds in the caches what it left there. Children inherit it.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

/// Longer than most runs and decodings take; shorter than the seats' pictures last.
const TURN: Duration = Duration::from_millis(20);

/// Asks the kernel for such turns, for this thread and whatever it starts from now on; only as a matter of policy: whoever chose
/// another one than the usual keeps it, and so does everybody the niceness. Kernels before 6.12 know no length.
///
/// # Errors
/// The system's, where it must not be asked.
pub fn take_long() -> io::Result<()> {
    let mut attributes = libc::sched_attr {
        size: 0,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let size = size_of_val(&attributes) as u32;
    let this_thread = 0;
    // SAFETY: the kernel writes at most `size` bytes to a structure that has as many and is borrowed for the call.
    let got = unsafe {
        libc::syscall(libc::SYS_sched_getattr, this_thread, &raw mut attributes, size, 0 /* no flags */)
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    if attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    attributes.size = size;
    attributes.sched_policy = libc::SCHED_BATCH as u32;
    attributes.sched_runtime = TURN.as_nanos() as u64;
    // SAFETY: the kernel reads `size` bytes of a structure that has as many and is borrowed for the call.
    let set = unsafe {
        libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, 0 /* no flags */)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_what_it_starts_change_their_policy_and_keep_their_niceness() {
        let fields = || -> (String, String) {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a thread");
            let rest: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
            // Counted from the third field on: niceness is the 19th, the policy the 41st.
            (rest[16].to_owned(), rest[38].to_owned())
        };
        // On a thread of its own: other tests are none of its business.
        let changed = std::thread::spawn(move || {
            let before = fields();
            take_long().expect("asked");
            let inherited = std::thread::spawn(fields).join().expect("a thread");
            (before, inherited)
        });
        let (before, after) = changed.join().expect("a thread");
        if before.1 == libc::SCHED_OTHER.to_string() {
            assert_eq!(after, (before.0, libc::SCHED_BATCH.to_string()));
        } else {
            assert_eq!(after, before);
        }
    }
}
