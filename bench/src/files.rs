//! A small file server of our own, so that pictures can be fetched by address without anybody else's help. It knows only the
//! files it was given, and holds them in memory.

use crate::BenchError;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Files that are being served on a free port of this machine. It ends when dropped.
pub struct Files {
    address: SocketAddr,
    names: BTreeMap<String, usize>,
    may_be_kept: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Serves these files.
    ///
    /// # Errors
    /// When one cannot be read, or no port be had.
    pub fn serve<'a>(names: impl Iterator<Item = &'a String>) -> Result<Self, BenchError> {
        let names: BTreeMap<String, usize> = names.cloned().zip(0..).collect();
        let mut files = vec![Bytes::new(); names.values().max().map_or(0, |most| most + 1)];
        for (name, &index) in &names {
            let read = std::fs::read(name).map_err(|error| BenchError::file(name.as_ref(), &error))?;
            files[index] = read.into();
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(BenchError::failed)?;
        listener.set_nonblocking(true).map_err(BenchError::failed)?;
        let address = listener.local_addr().map_err(BenchError::failed)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let may_be_kept = Arc::new(AtomicBool::new(false));
        let said = may_be_kept.clone();
        let thread = std::thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, files.into(), said) => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(BenchError::failed)?;
        Ok(Self { address, names, may_be_kept, stop: Some(stop), thread: Some(thread) })
    }

    /// Says from now on that files may be kept for an hour.
    pub fn let_keep(&self) {
        self.may_be_kept.store(true, Relaxed);
    }

    /// Where it is served.
    pub fn address_of(&self, name: &str) -> Option<String> {
        // The name's end stays, for servers that look at it.
        let end = name.rsplit('/').next().unwrap_or_default();
        let end: String = url::form_urlencoded::byte_serialize(end.as_bytes()).collect();
        self.names.get(name).map(|index| format!("http://{}/{index}/{end}", self.address))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been told on standard error.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, files: Arc<[Bytes]>, may_be_kept: Arc<AtomicBool>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (files, may_be_kept) = (files.clone(), may_be_kept.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let index = request.uri().path().split('/').nth(1).and_then(|part| part.parse::<usize>().ok());
            let file = index.and_then(|index| files.get(index)).cloned();
            let may_be_kept = may_be_kept.load(Relaxed);
            async move {
                let mut response = Response::new(Full::new(file.clone().unwrap_or_default()));
                if file.is_none() {
                    *response.status_mut() = StatusCode::NOT_FOUND;
                }
                if may_be_kept {
                    let an_hour = HeaderValue::from_static("max-age=3600");
                    response.headers_mut().insert(CACHE_CONTROL, an_hour);
                }
                Ok::<_, Infallible>(response)
            }
        });
        // A client that goes away in the middle is its own business.
        tokio::spawn(
            async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await },
        );
    }
}
