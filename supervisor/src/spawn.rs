//! Starting children: fork and exec of the very file this process runs, with one inherited descriptor.
//!
//! The executable is held open from the start and run through `/proc/self/fd`, so that a file that was replaced on disk
//! meanwhile cannot put two versions of the protocol into one service.
#![allow(unsafe_code)]

use crate::config::Log;
use crate::core::child::{ChildId, Kind};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use shm_proto::control::{CONTROL_FD, ChildEnd};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Keeps ONNX Runtime from reporting to its makers and from leaving an identity in the home folder. It reads this when it
/// is loaded; its own switch comes too late.
const NO_TELEMETRY: (&str, &str) = ("ORT_DISABLE_TELEMETRY", "1");

/// Has glibc give the end of its heap back when so much of it is free, and blocks from 128 KiB on as soon as they are free: it does neither
/// any more once it has freed larger blocks. That costs page faults with each picture: worth it where processes are many and each does little.
const GIVING_BACK: (&str, &str) = ("MALLOC_TRIM_THRESHOLD_", "262144");

/// Starts a command that loads the runtime in its own process anew without telemetry, unless it was. Returns only when
/// there is nothing to do or it cannot be done.
///
/// # Errors
/// The system's, when the process cannot be replaced.
pub fn without_telemetry() -> io::Result<()> {
    if std::env::var_os(NO_TELEMETRY.0).is_some_and(|value| value == NO_TELEMETRY.1) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Err(command.args(arguments).env(NO_TELEMETRY.0, NO_TELEMETRY.1).exec())
}

/// Takes over a descriptor that the program before this one left open for it.
///
/// # Errors
/// When none of that number is open.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number is only borrowed, for a call that fails where nothing is open.
    fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GETFD)?;
    // SAFETY: it is open, and nobody else in this program knows of it: `handover::receive` names each number once, before
    // anything else has been opened that could have got it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The executable, ready to be started again.
pub struct Program {
    exe: OwnedFd,
    /// Keeps descriptor 3 taken, so that nothing of ours is there when a child's socket is put in its place.
    _reserved: Option<OwnedFd>,
}

impl Program {
    /// Opens the file this process runs.
    ///
    /// # Errors
    /// The system's; `/proc` must be mounted.
    pub fn open() -> io::Result<Self> {
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        let reserved = (null.as_raw_fd() == CONTROL_FD).then_some(null);
        let exe = open("/proc/self/exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        // Away from the number that the child's socket takes.
        let high = fcntl(&exe, FcntlArg::F_DUPFD_CLOEXEC(CONTROL_FD + 7))?;
        // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor and nobody else knows of it.
        let exe = unsafe { OwnedFd::from_raw_fd(high) };
        Ok(Self { exe, _reserved: reserved })
    }

    /// The file.
    ///
    /// # Errors
    /// When descriptors run out.
    pub fn exe(&self) -> io::Result<OwnedFd> {
        self.exe.try_clone()
    }

    /// Starts a child, one that keeps little free memory if it `gives_back`. It gets stdin from `/dev/null`, our stdout and stderr,
    /// `end`'s socket as descriptor 3 and nothing else; a process group of its own, so that Ctrl-C in a shell reaches the supervisor only; and SIGKILL when the supervisor dies.
    ///
    /// The thread that calls this must be the one that lives as long as the process: the kernel watches the thread.
    ///
    /// # Errors
    /// The system's, when no process can be made.
    pub fn start(&self, child: ChildId, end: &ChildEnd, log: &Log, gives_back: bool) -> io::Result<Pid> {
        let socket = end.socket.as_raw_fd();
        let parent = nix::unistd::getpid();
        let mut command = Command::new(format!("/proc/self/fd/{}", self.exe.as_raw_fd()));
        command
            .arg0(format!("detectd: {child}"))
            .args(["role", child.kind.traits().name, "--slot", &child.slot.to_string()])
            .args(["--rendezvous", &end.rendezvous])
            .args(["--log-level", &log.level, "--log-format", log.format.as_str()])
            .env(NO_TELEMETRY.0, NO_TELEMETRY.1)
            .env_remove(crate::handover::VARIABLE)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null())
            .process_group(0);
        if gives_back && std::env::var_os(GIVING_BACK.0).is_none() {
            command.env(GIVING_BACK.0, GIVING_BACK.1);
        }
        // SAFETY: between fork and exec the closure makes only system calls (prctl, getppid, dup2, close_range) and touches no
        // memory but its captured numbers. `socket` stays open until `start` returns, which is after the exec.
        // Descriptor 3 is ours to replace: it was reserved, or belongs to a listener that the child gets passed.
        unsafe {
            command.pre_exec(move || {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                if nix::unistd::getppid() != parent {
                    return Err(io::Error::from(nix::errno::Errno::ESRCH)); // it died before it was watched
                }
                if libc::dup2(socket, CONTROL_FD) < 0 {
                    return Err(io::Error::last_os_error());
                }
                // Whatever a shell left open in us must not live on in a child. Kernels before 5.11 refuse, then it does.
                libc::close_range(CONTROL_FD as u32 + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
                Ok(())
            });
        }
        // std resets the signal mask and SIGPIPE; handlers end with exec. The child is reaped by the driver.
        let process = command.spawn()?;
        Ok(Pid::from_raw(process.id().cast_signed()))
    }
}

/// What a child does for itself before anything else: a name that `top` shows, and its place in the queue of the
/// out-of-memory killer.
pub fn settle_in(kind: Kind, slot: u8) {
    let name = match kind {
        Kind::Engine => "detectd-engine".to_owned(),
        Kind::Frontend => format!("detectd-fe-{slot}"),
    };
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = prctl::set_name(&name); // a missing name harms nobody
    }
    // Neither gives up anything that a child uses: no program it starts gains rights, and no picture of a client lands in a core file.
    let _ = prctl::set_no_new_privs();
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // Lowering needs a privilege that a container may not have; the inherited score does then.
    let _ = std::fs::write("/proc/self/oom_score_adj", kind.traits().oom_score_adj.to_string());
}
