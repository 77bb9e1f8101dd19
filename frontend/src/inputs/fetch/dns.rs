//! A name server for the tests of fetching: answers as the test says, and counts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

pub struct Dns {
    pub address: SocketAddr,
    queries: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Dns {
    /// Answers with the addresses of a name, each kind when it is asked for, to be kept for `ttl` seconds. No address
    /// means that there is no such name. The number counts the questions for addresses of IPv4 so far.
    pub async fn open(ttl: u32, answer: impl Fn(&str, usize) -> Vec<IpAddr> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let queries = Arc::new(AtomicUsize::new(0));
        let count = queries.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let Some((name, question)) = name_of(&query[..length]) else { continue };
                let is_v4 = question[question.len() - 3] == 1;
                let number = count.fetch_add(usize::from(is_v4), Ordering::SeqCst);
                let addresses = answer(&name, number);
                let reply = reply(&query[..2], question, &addresses, is_v4, ttl);
                let _ = socket.send_to(&reply, from).await;
            }
        });
        Self { address, queries, _server: server }
    }

    /// How many questions for addresses of IPv4 there were.
    pub fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }
}

/// The name that is asked about, and the question as it stands in the query.
fn name_of(query: &[u8]) -> Option<(String, &[u8])> {
    let (mut name, mut at) = (String::new(), 12);
    while *query.get(at)? > 0 {
        let label = query.get(at + 1..at + 1 + usize::from(query[at]))?;
        name += if name.is_empty() { "" } else { "." };
        name += str::from_utf8(label).ok()?;
        at += 1 + label.len();
    }
    Some((name.to_ascii_lowercase(), query.get(12..at + 5)?))
}

fn reply(id: &[u8], question: &[u8], addresses: &[IpAddr], is_v4: bool, ttl: u32) -> Vec<u8> {
    let of_kind: Vec<_> = addresses.iter().filter(|address| address.is_ipv4() == is_v4).collect();
    // A name without addresses of this kind is no name that does not exist.
    let code: u8 = if addresses.is_empty() { 3 } else { 0 };
    let count = (of_kind.len() as u16).to_be_bytes();
    let mut reply = [id, &[0x81, 0x80 | code, 0, 1], &count, &[0, 0, 0, 0], question].concat();
    for address in of_kind {
        reply.extend([0xc0, 12, 0, if is_v4 { 1 } else { 28 }, 0, 1]);
        reply.extend(ttl.to_be_bytes());
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        reply.extend((bytes.len() as u16).to_be_bytes());
        reply.extend(bytes);
    }
    reply
}
