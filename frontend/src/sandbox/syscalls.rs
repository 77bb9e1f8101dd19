//! The system calls of a frontend: files, sockets, memory, threads, clocks. No other program, no other process, no
//! descriptor from elsewhere, nothing of the kernel's that an ordinary server does not use. Others answer EPERM.

use libc::*;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;

/// Allowed with any arguments, on every processor.
const ALLOWED: &[c_long] = &[
    // Files and descriptors.
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_preadv2,
    SYS_pwritev,
    SYS_close,
    SYS_close_range,
    SYS_openat,
    SYS_openat2,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_fcntl,
    SYS_ioctl,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_fadvise64,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_linkat,
    SYS_renameat2,
    SYS_fchmod,
    SYS_utimensat,
    SYS_umask,
    SYS_copy_file_range,
    SYS_sendfile,
    // Sockets. Which families, is a rule below.
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept4,
    SYS_shutdown,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    // Waiting.
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_futex,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_restart_syscall,
    // Memory.
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_membarrier,
    SYS_mincore,
    // Threads, signals, the end.
    SYS_clone3,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_setpriority,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_tgkill,
    SYS_prctl,
    SYS_exit,
    SYS_exit_group,
    // Questions.
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_getcpu,
    SYS_prlimit64,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
];

/// Older calls that x86 has besides.
#[cfg(target_arch = "x86_64")]
const ALSO: &[c_long] = &[
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_poll,
    SYS_select,
    SYS_epoll_wait,
    SYS_epoll_create,
    SYS_dup2,
    SYS_pipe,
    SYS_mkdir,
    SYS_unlink,
    SYS_rmdir,
    SYS_rename,
    SYS_arch_prctl,
    SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALSO: &[c_long] = &[];

/// Why system calls are not filtered.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// The filter cannot be made.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The kernel does not take it.
    #[error(transparent)]
    Apply(#[from] seccompiler::Error),
}

/// Filters the calls of this thread and of those it starts.
pub(super) fn filter() -> Result<(), FilterError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALSO).map(|call| (*call, Vec::new())).collect();
    // A new thread, not a new process. Which of the two clone3 makes cannot be seen: it does not exist, see below, and the C
    // library falls back to this one.
    let thread = CLONE_THREAD as u64;
    let is_thread =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), thread)?;
    rules.insert(SYS_clone, vec![SeccompRule::new(vec![is_thread])?]);
    // Netlink tells the resolver which addresses this machine has.
    let families = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].map(|family| {
        let same = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family as u64)?;
        SeccompRule::new(vec![same])
    });
    let families = families.into_iter().collect::<Result<Vec<_>, _>>()?;
    rules.insert(SYS_socket, families.clone());
    rules.insert(SYS_socketpair, families);

    // This one first: the other does not allow a third. Where they differ, the refusal counts.
    let absent = SeccompAction::Errno(ENOSYS as u32);
    apply(BTreeMap::from([(SYS_clone3, Vec::new())]), SeccompAction::Allow, absent)?;
    let forbidden = SeccompAction::Errno(EPERM as u32);
    apply(rules, forbidden, SeccompAction::Allow)
}

fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<(), FilterError> {
    let target = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, listed, target)?.try_into()?;
    Ok(apply_filter(&program)?)
}
