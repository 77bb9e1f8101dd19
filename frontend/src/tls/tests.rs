//! A client that trusts one certificate, against a whole frontend.

use super::*;
use crate::testing::{Rig, png};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Writes a new identity into `folder` and returns its certificate.
fn identity(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("an identity");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("room");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("room");
    made.cert.der().clone()
}

fn config(folder: &Path) -> TlsConfig {
    TlsConfig { certificate: folder.join("cert.pem"), key: folder.join("key.pem") }
}

/// One request over TLS to a server that has this certificate.
fn ask(address: SocketAddr, trusted: &CertificateDer<'static>, request: &[u8]) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let client = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(client), name).expect("a connection");
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn answers_come_over_tls_and_a_new_certificate_is_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = identity(folder.path());
    let rig = Rig::with(|settings| settings.tls = config(folder.path()), 4, true);
    let picture = png(8, 8);
    let head = format!(
        "POST /detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    let answer = ask(rig.address, &first, &[head.as_bytes(), &picture].concat()).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"detections\""), "{answer}");

    // Who speaks HTTP is not answered in it.
    let mut plain = TcpStream::connect(rig.address).expect("a connection");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer); // closed or reset
    assert!(!answer.starts_with(b"HTTP"));

    let health = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    fs::write(folder.path().join("key.pem"), "not a key").expect("room");
    rig.service.look_back();
    assert!(ask(rig.address, &first, health).expect("the identity before").starts_with("HTTP/1.1 200"));
    let second = identity(folder.path());
    rig.service.look_back();
    assert!(ask(rig.address, &second, health).expect("the new one").starts_with("HTTP/1.1 200"));
    ask(rig.address, &first, health).expect_err("the old one is gone");
}

#[test]
fn a_client_that_never_ends_its_handshake_is_let_go() {
    let folder = tempfile::tempdir().expect("a folder");
    identity(folder.path());
    let settings = |settings: &mut crate::config::Config| {
        settings.tls = config(folder.path());
        settings.frontend.header_timeout = Duration::from_millis(100);
    };
    let rig = Rig::with(settings, 4, true);
    let mut silent = TcpStream::connect(rig.address).expect("a connection");
    silent.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    assert_eq!(silent.read(&mut [0; 16]).expect("an end"), 0);
}

#[test]
fn files_that_do_not_make_an_identity_are_refused() {
    assert!(Tls::new(&TlsConfig::default()).expect("off").is_none());
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    identity(one.path());
    identity(other.path());
    let good = config(one.path());
    for (bad, names) in [
        (TlsConfig { key: PathBuf::new(), ..good.clone() }, "tls.key"),
        (TlsConfig { certificate: PathBuf::new(), ..good.clone() }, "tls.certificate"),
        (TlsConfig { key: "/nonexistent".into(), ..good.clone() }, "tls.key"),
        (TlsConfig { certificate: good.key.clone(), ..good.clone() }, "tls.certificate"),
        (TlsConfig { key: other.path().join("key.pem"), ..good.clone() }, "tls.certificate"),
    ] {
        let error = Tls::new(&bad).err().expect(names).to_string();
        assert!(error.starts_with(names), "{error}");
    }
}
