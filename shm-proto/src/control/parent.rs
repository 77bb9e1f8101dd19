//! The supervisor's end of the control to one child.

use super::{Boot, ControlError, FromChild, Handshake, ToChild, failed, send_fds, text_fd};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcOneShotServer, IpcReceiver, IpcSender};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Lets rendezvous sockets be made where the usual temporary folder cannot be written (a read-only container):
/// in `/dev/shm`, which every container has. To be called once, before the first [`Line::open`].
pub fn use_writable_folder() {
    if tempfile::tempfile().is_err() {
        // Fails only when somebody has chosen a folder already, which then is the one to use.
        let _ = tempfile::env::override_temp_dir(std::path::Path::new("/dev/shm"));
    }
}

/// The control to one child.
pub struct Line {
    socket: OwnedFd,
    stage: Stage,
}

enum Stage {
    /// The child has not come to the rendezvous yet.
    Waiting {
        server: IpcOneShotServer<Handshake>,
        boot: Boot,
        fds: Arc<[OwnedFd]>,
    },
    Open {
        to_child: IpcSender<ToChild>,
        from_child: IpcReceiver<FromChild>,
    },
    Closed,
}

/// What a child needs at its start: the end of the socket that becomes its descriptor 3, and the rendezvous name.
pub struct ChildEnd {
    /// To be descriptor [`super::CONTROL_FD`] in the child.
    pub socket: OwnedFd,
    /// For [`super::connect`].
    pub rendezvous: String,
}

impl Line {
    /// Prepares the control to a child that is about to be started. `fds`, the bells and the listening sockets,
    /// are passed with `boot` when the child comes; all children share them, so that many cost few descriptors.
    ///
    /// # Errors
    /// When sockets cannot be made.
    pub fn open(boot: Boot, fds: Arc<[OwnedFd]>) -> Result<(Self, ChildEnd), ControlError> {
        let pair = || socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (socket, child) = pair().map_err(failed("making the control socket"))?;
        let (server, rendezvous) = IpcOneShotServer::new().map_err(|error| ControlError::Failed {
            what: "making the rendezvous",
            text: error.to_string(),
        })?;
        let stage = Stage::Waiting { server, boot, fds };
        Ok((Self { socket, stage }, ChildEnd { socket: child, rendezvous }))
    }

    /// The descriptor to poll: readable when the child has said something or is gone. A child that was told of a
    /// [`ToChild::HandOver`] goes on as long as anybody holds a copy.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What the child has said since the last call. Never blocks on a living child that knocked.
    ///
    /// # Errors
    /// `Closed` once the child is gone and everything it said was returned.
    pub fn receive(&mut self) -> Result<Vec<FromChild>, ControlError> {
        let mut knocks = 0;
        let mut gone = false;
        loop {
            match recv(self.socket.as_raw_fd(), &mut [0; 8], MsgFlags::MSG_DONTWAIT) {
                Ok(0) => gone = true,
                Ok(_) => {
                    knocks += 1;
                    continue;
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {}
                Err(_) => gone = true,
            }
            break;
        }
        if knocks > 0 && matches!(self.stage, Stage::Waiting { .. }) {
            self.accept()?;
        }
        let mut said = Vec::new();
        if let Stage::Open { from_child, .. } = &self.stage {
            loop {
                match from_child.try_recv() {
                    Ok(message) => said.push(message),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::IpcError(_)) => {
                        gone = true;
                        break;
                    }
                }
            }
        }
        if gone && said.is_empty() { Err(ControlError::Closed) } else { Ok(said) }
    }

    /// The child has knocked for the first time, after it connected: accepting does not block.
    fn accept(&mut self) -> Result<(), ControlError> {
        let Stage::Waiting { server, boot, fds } = std::mem::replace(&mut self.stage, Stage::Closed) else {
            return Ok(());
        };
        let (_, Handshake { to_child, from_child }) = server.accept().map_err(|_| ControlError::Closed)?;
        self.stage = Stage::Open { to_child, from_child };
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        // A child that died meanwhile may still have said why: that is read first, its end is seen after.
        let _ = self.send(ToChild::Boot(boot), &borrowed);
        Ok(())
    }

    /// Says something to the child, with descriptors.
    ///
    /// # Errors
    /// `Closed` when the child is gone or has not come yet.
    pub fn send(&self, mut message: ToChild, fds: &[BorrowedFd<'_>]) -> Result<(), ControlError> {
        let Stage::Open { to_child, .. } = &self.stage else { return Err(ControlError::Closed) };
        let text = match message.long_text() {
            Some(text) => Some(text_fd(&std::mem::take(text))?),
            None => None,
        };
        let fds: Vec<BorrowedFd<'_>> = fds.iter().copied().chain(text.as_ref().map(AsFd::as_fd)).collect();
        // Descriptors first: whoever reads a message that has some finds them waiting.
        if matches!(message, ToChild::Boot(_) | ToChild::Attach { .. }) {
            send_fds(&self.socket, &fds)?;
        }
        to_child.send(message).map_err(|_| ControlError::Closed)
    }
}
