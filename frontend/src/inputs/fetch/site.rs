//! A server for the tests of fetching: answers each request with whatever bytes the test wants, however wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a site does after a request.
#[derive(Clone)]
pub enum Act {
    /// Sends these bytes and closes.
    Send(Vec<u8>),
    /// Sends these bytes and waits for the next request on the same connection.
    Keep(Vec<u8>),
    /// The same after a pause.
    KeepLate(Duration, Vec<u8>),
    /// Sends these bytes and keeps the connection open until the client closes it.
    Hang(Vec<u8>),
    /// Sends these bytes again and again until the client closes.
    Repeat(Vec<u8>, Vec<u8>),
    /// Sends these bytes after a pause.
    Wait(Duration, Vec<u8>),
}

pub struct Site {
    pub address: SocketAddr,
    /// The requests as they came.
    pub requests: mpsc::UnboundedReceiver<String>,
    /// One message for each connection that the client closed while the site was hanging.
    pub closed: mpsc::UnboundedReceiver<()>,
    /// Most connections that were open at once.
    pub peak: Arc<AtomicUsize>,
    /// All connections.
    pub connections: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Site {
    /// Serves the paths as the function says.
    pub async fn open(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST, move |head| act(path(head))).await
    }

    /// The same at another loopback address, for whole request heads.
    pub async fn open_at(address: Ipv4Addr, act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::serve(address, act, None).await
    }

    /// The same over TLS.
    pub async fn open_tls(acceptor: TlsAcceptor, act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::serve(Ipv4Addr::LOCALHOST, move |head| act(path(head)), Some(acceptor)).await
    }

    async fn serve(
        address: Ipv4Addr,
        act: impl Fn(&str) -> Act + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (request, requests) = mpsc::unbounded_channel();
        let (close, closed) = mpsc::unbounded_channel();
        let (open, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let connections = Arc::new(AtomicUsize::new(0));
        let act = Arc::new(act);
        let mut server = JoinSet::new();
        let (highest, all) = (peak.clone(), connections.clone());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                all.fetch_add(1, Ordering::SeqCst);
                let (act, request, close, tls) = (act.clone(), request.clone(), close.clone(), tls.clone());
                let (open, highest) = (open.clone(), highest.clone());
                connections.spawn(async move {
                    highest.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    match tls {
                        None => converse(stream, &*act, &request, &close).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &*act, &request, &close).await;
                            }
                        }
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, requests, closed, peak, connections, _server: server }
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests have come since this was last asked.
    pub fn asked(&mut self) -> usize {
        let mut count = 0;
        while self.requests.try_recv().is_ok() {
            count += 1;
        }
        count
    }

    /// The address of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    act: &(impl Fn(&str) -> Act + ?Sized),
    request: &mpsc::UnboundedSender<String>,
    close: &mpsc::UnboundedSender<()>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let _ = request.send(head.clone());
        match act(&head) {
            Act::Keep(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
            }
            Act::KeepLate(pause, bytes) => {
                tokio::time::sleep(pause).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
            }
            last => return finish(stream, last, close).await,
        }
    }
}

/// The target of a request.
fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// The next request's head, if there is one.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            // Neither is a question: the end, and a TLS handshake.
            Err(_) | Ok(0x16) => return None,
            Ok(byte) => head.push(byte),
        }
    }
    Some(String::from_utf8(head).unwrap())
}

/// Does what ends a connection.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    act: Act,
    close: &mpsc::UnboundedSender<()>,
) {
    // A client that has seen enough closes, which is no failure here.
    match act {
        Act::Keep(_) | Act::KeepLate(..) => {}
        Act::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Act::Hang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            let _ = stream.read(&mut [0]).await;
            let _ = close.send(());
        }
        Act::Repeat(head, bytes) => {
            let _ = stream.write_all(&head).await;
            while stream.write_all(&bytes).await.is_ok() {}
            let _ = close.send(());
        }
        Act::Wait(pause, bytes) => {
            tokio::time::sleep(pause).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    }
}
