//! Binding: free ports, busy ones, both families.

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("address")
}

#[test]
fn port_0_takes_a_free_one_which_is_then_busy() {
    let first = bind(address("127.0.0.1:0")).expect("a free port");
    let taken = first.local_addr().expect("address");
    assert_ne!(taken.port(), 0);
    let error = bind(taken).expect_err("busy").to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("--listen"), "{error}");
}

#[test]
fn the_ipv6_wildcard_serves_ipv4_too() {
    let Ok(listener) = bind(address("[::]:0")) else {
        eprintln!("SKIPPED: no IPv6 here");
        return;
    };
    let port = listener.local_addr().expect("address").port();
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("over IPv4");
}

#[test]
fn an_address_of_another_machine_is_named() {
    let error = bind(address("192.0.2.1:0")).expect_err("not ours").to_string();
    assert!(error.contains("no address of this machine"), "{error}");
}
