//! The listening sockets: systemd's (LISTEN_FDS) when it passed some, our own otherwise. They live as long as the
//! supervisor, so that connections queue, and none is refused, whatever happens to the frontends.

use crate::config::Service;
use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configured address makes no sense.
    #[error("service.listen: {0}")]
    Address(String),
    /// Somebody else has the port.
    #[error(
        "{0} is in use by another process; stop that one, or listen elsewhere: --listen ADDRESS:PORT (port 0 takes a free one)"
    )]
    Busy(SocketAddr),
    /// A low port.
    #[error(
        "{0}: ports below 1024 need CAP_NET_BIND_SERVICE; take a higher one, or let systemd pass the socket"
    )]
    Forbidden(SocketAddr),
    /// Not ours.
    #[error("{0} is no address of this machine; use 0.0.0.0 or [::] for all of its addresses")]
    Foreign(SocketAddr),
    /// What systemd passed is no listening TCP socket.
    #[error(
        "LISTEN_FDS: descriptor {index} from systemd is no TCP listener ({source}); use ListenStream=PORT in the socket unit"
    )]
    Inherited {
        /// Which of them.
        index: usize,
        /// What is wrong.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

/// What is listened on.
pub struct Listeners {
    /// The sockets.
    pub sockets: Vec<TcpListener>,
    /// Whether somebody else holds them too, so that connections queue while nobody serves.
    pub passed: bool,
}

/// The sockets: systemd's, or one bound to the configured address.
pub fn listen(service: &Service) -> Result<Listeners, ListenError> {
    let inherited = inherited()?;
    if !inherited.is_empty() {
        return Ok(Listeners { sockets: inherited, passed: true });
    }
    let addresses = service.addresses().map_err(|fault| ListenError::Address(fault.reason))?;
    let mut result = Err(ListenError::Address(format!("{:?} stands for no address", service.listen)));
    for address in addresses {
        // A name such as localhost stands for several addresses: the first that works is taken.
        match bind(address) {
            Ok(socket) => return Ok(Listeners { sockets: vec![socket], passed: false }),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// Binds and listens: non-blocking, closed on exec, for IPv4 too when it is the IPv6 wildcard.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    open().map(TcpListener::from).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ListenError::Busy(address),
        ErrorKind::PermissionDenied => ListenError::Forbidden(address),
        ErrorKind::AddrNotAvailable => ListenError::Foreign(address),
        _ => ListenError::Other { address, source },
    })
}

fn inherited() -> Result<Vec<TcpListener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let count = passed.len();
    let mut take = |index| -> io::Result<Option<TcpListener>> {
        let listener = passed.take_tcp_listener(index)?;
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
        }
        Ok(listener)
    };
    (0..count)
        .filter_map(|index| {
            take(index).map_err(|source| ListenError::Inherited { index, source }).transpose()
        })
        .collect()
}

#[cfg(test)]
mod tests;
