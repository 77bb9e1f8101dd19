//! Control between the supervisor and a child: typed messages over `ipc-channel`, and one socket on which file
//! descriptors are passed, the supervisor is woken, and each side sees the other die. Never image data.
//!
//! ```text
//! supervisor                                              child (fd 3 = its end of the socket)
//!   Line::open ── fork+exec, argv: rendezvous name ─────▶ connect(name)
//!   Line::receive ◀── hands over its two channels, knocks on the socket
//!     accepts, sends fds on the socket, then ToChild::Boot on the channel ──▶ Boot
//! ```

mod child;
mod message;
mod parent;

pub use child::{ControlReceiver, ControlSender, connect};
pub use message::{Boot, Exit, FromChild, Received, Role, ToChild};
pub use parent::{ChildEnd, Line, use_writable_folder};

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Number of the socket that a child inherits.
pub const CONTROL_FD: RawFd = 3;

/// Most descriptors in one packet (the kernel's limit is 253).
const MAX_FDS: usize = 128;

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The other side has gone.
    #[error("the other process has gone")]
    Closed,
    /// A system call or the channel failed.
    #[error("control: {what}: {text}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What was said.
        text: String,
    },
}

fn failed(what: &'static str) -> impl Fn(Errno) -> ControlError {
    move |errno| match errno {
        Errno::EPIPE | Errno::ECONNRESET => ControlError::Closed,
        errno => ControlError::Failed { what, text: errno.to_string() },
    }
}

/// What a child sends through the rendezvous: the supervisor's ends of its two channels.
#[derive(Serialize, Deserialize)]
struct Handshake {
    to_child: IpcSender<ToChild>,
    from_child: IpcReceiver<FromChild>,
}

/// A text as a file in memory. Descriptions of models can be long, and a long message needs a reader that is awake: the
/// supervisor must not wait for one.
fn text_fd(text: &str) -> Result<OwnedFd, ControlError> {
    let failed = |errno: Errno| ControlError::Failed { what: "passing a text", text: errno.to_string() };
    let fd = memfd_create(c"detectd-text", MFdFlags::MFD_CLOEXEC).map_err(failed)?;
    let mut file = File::from(fd);
    let failed =
        |error: std::io::Error| ControlError::Failed { what: "passing a text", text: error.to_string() };
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(file.into())
}

/// Reads a text that was passed as a file.
fn read_text(fd: OwnedFd) -> Result<String, ControlError> {
    let mut text = String::new();
    File::from(fd)
        .read_to_string(&mut text)
        .map_err(|error| ControlError::Failed { what: "reading a text", text: error.to_string() })?;
    Ok(text)
}

/// Sends descriptors in one packet.
fn send_fds(socket: impl AsFd, fds: &[BorrowedFd<'_>]) -> Result<(), ControlError> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let count = (raw.len() as u32).to_ne_bytes();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let data = [IoSlice::new(&count)];
    sendmsg::<()>(socket.as_fd().as_raw_fd(), &data, control, flags, None)
        .map_err(failed("sending descriptors"))?;
    Ok(())
}

/// Receives the descriptors of one packet; blocks until it is there.
fn receive_fds(socket: impl AsFd) -> Result<Vec<OwnedFd>, ControlError> {
    let mut count = [0u8; 4];
    let mut space = nix::cmsg_space!([RawFd; MAX_FDS]);
    let mut data = [IoSliceMut::new(&mut count)];
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut data, Some(&mut space), flags) {
            Err(Errno::EINTR) => continue,
            other => break other.map_err(failed("receiving descriptors"))?,
        }
    };
    if message.bytes == 0 {
        return Err(ControlError::Closed);
    }
    let mut fds = Vec::new();
    for part in message.cmsgs().map_err(failed("reading descriptors"))? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            // SAFETY: the kernel has just made these descriptors for this process and told nobody else of them.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    if fds.len() != u32::from_ne_bytes(count) as usize {
        return Err(ControlError::Failed {
            what: "receiving descriptors",
            text: "some were lost".to_owned(),
        });
    }
    Ok(fds)
}

#[cfg(test)]
mod tests;
