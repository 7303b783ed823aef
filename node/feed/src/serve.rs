//! Listeners with bounds: so many connections, so long for a handshake, and an end when the feed stops.
//!
//! A connection is a stream of bytes, with TLS or without; what is spoken on it is the caller's.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::intake::Counters;

/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The most bytes that are buffered of a connection.
const MAX_BUFFERED: usize = 16 * 1024;
/// For a handshake, and for a request's headers.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long connections get to finish when the feed stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Becomes true when the feed stops.
pub type Stop = watch::Receiver<bool>;

/// Waits until the feed stops.
pub async fn stopped(mut stop: Stop) {
    // An error means that nobody is left who could say it.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A listener and its bounds.
pub struct Listener {
    /// Where.
    pub socket: TcpListener,
    /// With TLS, or without.
    pub tls: Option<TlsAcceptor>,
    /// The most connections at a time.
    pub max_connections: usize,
    /// What it is called in counts.
    pub input: &'static str,
}

impl Listener {
    /// Accepts connections until the feed stops, then gives them a little time.
    pub async fn run<F, W>(self, counters: Arc<Counters>, stop: Stop, work: W)
    where
        W: Fn(Box<dyn Stream>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stopped(stop.clone()) => break,
                accepted = self.socket.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of file descriptors, mostly: let some connections end.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(turn) = Arc::clone(&room).try_acquire_owned() else {
                counters.count(self.input, "closed", "too-many-connections");
                continue;
            };
            let (tls, work, counters, input) =
                (self.tls.clone(), work.clone(), Arc::clone(&counters), self.input);
            connections.spawn(async move {
                let _turn = turn;
                match open(stream, tls).await {
                    Some(stream) => work(stream, peer).await,
                    None => counters.count(input, "closed", "handshake"),
                }
            });
        }
        drop(self.socket);
        let finish = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, finish).await;
    }
}

async fn open(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    stream.set_nodelay(true).ok()?;
    match tls {
        None => Some(Box::new(stream)),
        Some(tls) => {
            let stream = tokio::time::timeout(PATIENCE, tls.accept(stream)).await.ok()?.ok()?;
            Some(Box::new(stream))
        }
    }
}

/// Speaks HTTP/1.1 on a connection.
pub async fn http(router: Router, stream: Box<dyn Stream>, stop: Stop) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFERED)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
