//! A child's end of the control.

use super::{
    Boot, CONTROL_FD, ControlError, FromChild, Handshake, Received, ToChild, failed, read_text, receive_fds,
};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Says things to the supervisor. Cloned freely; any thread may use it.
#[derive(Clone)]
pub struct ControlSender {
    socket: Arc<OwnedFd>,
    channel: Arc<Mutex<IpcSender<FromChild>>>,
    handed_over: Arc<AtomicBool>,
}

/// Hears the supervisor. For one thread of its own.
pub struct ControlReceiver {
    socket: Arc<OwnedFd>,
    channel: IpcReceiver<ToChild>,
    at_the_end: AtTheEnd,
    handed_over: Arc<AtomicBool>,
}

/// What the end of the channel means.
#[derive(Clone, Copy)]
enum AtTheEnd {
    /// The supervisor has died.
    Closed,
    /// It has become another program, which lets go of the control socket when this child is to drain within this time.
    Drain(Duration),
    /// That has been said; whoever asks again must not take the silence for a death.
    Silence,
}

/// Connects a freshly started child to its supervisor. The control socket is descriptor 3, `rendezvous` came on the
/// command line. The descriptors are the bells by slot, then the listening sockets.
///
/// # Errors
/// When this process was not started by a supervisor, or that has gone.
pub fn connect(
    rendezvous: &str,
) -> Result<(ControlSender, ControlReceiver, Boot, Vec<OwnedFd>), ControlError> {
    // SAFETY: the number is only borrowed for this call, which duplicates it; if nothing is open there, the
    // duplication fails with EBADF.
    let inherited = unsafe { BorrowedFd::borrow_raw(CONTROL_FD) };
    let socket = inherited.try_clone_to_owned().map_err(|error| ControlError::Failed {
        what: "taking over the control socket (roles are started by the supervisor only)",
        text: error.to_string(),
    })?;
    // The inherited number itself must not leak into anything this process might start.
    fcntl(inherited, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
        .map_err(failed("closing the control socket on exec"))?;

    let (sender, mut receiver) = meet(rendezvous, Arc::new(socket))?;
    match receiver.recv()? {
        Received { message: ToChild::Boot(boot), fds } => Ok((sender, receiver, boot, fds)),
        Received { message, .. } => {
            Err(ControlError::Failed { what: "booting", text: format!("{message:?} came first") })
        }
    }
}

/// Hands the supervisor its ends of the channels, and knocks.
pub(super) fn meet(
    rendezvous: &str,
    socket: Arc<OwnedFd>,
) -> Result<(ControlSender, ControlReceiver), ControlError> {
    let channels = || -> Result<_, std::io::Error> { Ok((ipc::channel()?, ipc::channel()?)) };
    let failed_io =
        |error: std::io::Error| ControlError::Failed { what: "making channels", text: error.to_string() };
    let ((to_child, messages), (sender, from_child)) = channels().map_err(failed_io)?;
    let rendezvous: IpcSender<Handshake> =
        IpcSender::connect(rendezvous.to_owned()).map_err(|_| ControlError::Closed)?;
    rendezvous.send(Handshake { to_child, from_child }).map_err(|_| ControlError::Closed)?;
    let handed_over = Arc::new(AtomicBool::new(false));
    let channel = Arc::new(Mutex::new(sender));
    let sender = ControlSender { socket: socket.clone(), channel, handed_over: handed_over.clone() };
    sender.knock()?;
    Ok((sender, ControlReceiver { socket, channel: messages, at_the_end: AtTheEnd::Closed, handed_over }))
}

impl ControlSender {
    /// Says something to the supervisor. After a hand-over nobody listens, and that is no error.
    ///
    /// # Errors
    /// `Closed` when it has gone.
    pub fn send(&self, message: FromChild) -> Result<(), ControlError> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        let said = channel.send(message).map_err(|_| ControlError::Closed).and_then(|()| self.knock());
        // Only a hint for the error's meaning: nothing else is read because of it.
        if self.handed_over.load(Relaxed) { Ok(()) } else { said }
    }

    /// Wakes the supervisor, which polls the socket.
    fn knock(&self) -> Result<(), ControlError> {
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        match send(self.socket.as_raw_fd(), &[1], flags) {
            // A full socket means that it has been knocked on often enough.
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(failed("waking the supervisor")(errno)),
        }
    }
}

impl ControlReceiver {
    /// The supervisor's next message; blocks until there is one.
    ///
    /// # Errors
    /// `Closed` when the supervisor has gone: the child has to leave.
    pub fn recv(&mut self) -> Result<Received, ControlError> {
        let mut message = match (self.channel.recv(), self.at_the_end) {
            (Ok(ToChild::HandOver { timeout }), _) => {
                self.at_the_end = AtTheEnd::Drain(timeout);
                self.handed_over.store(true, Relaxed);
                return self.recv();
            }
            (Ok(message), _) => message,
            (Err(_), AtTheEnd::Closed) => return Err(ControlError::Closed),
            (Err(_), AtTheEnd::Drain(timeout)) => {
                self.until_hangup();
                self.at_the_end = AtTheEnd::Silence;
                ToChild::Drain { timeout }
            }
            (Err(_), AtTheEnd::Silence) => loop {
                std::thread::park();
            },
        };
        let mut fds = match message {
            ToChild::Boot(_) | ToChild::Attach { .. } => receive_fds(&self.socket)?,
            ToChild::Drain { .. } | ToChild::HandOver { .. } => Vec::new(),
        };
        if let Some(text) = message.long_text() {
            let fd = fds
                .pop()
                .ok_or(ControlError::Failed { what: "reading a text", text: "it is missing".to_owned() })?;
            *text = read_text(fd)?;
        }
        Ok(Received { message, fds })
    }

    /// Waits until nobody holds the other end of the control socket.
    fn until_hangup(&self) {
        loop {
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => continue,
                _ => return, // hung up, or beyond hearing
            }
        }
    }
}
