//! The network as the component sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use http_body_util::{BodyExt as _, Empty};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use source_host::{HttpError, LiveTransport, Policy, Timeouts, Tls, Transport as _, WasiBody};

use crate::server::{Answer, Server};

async fn get(tls: &Tls, url: &str) -> Result<http::Response<WasiBody>, HttpError> {
    let uri: http::Uri = url.parse().unwrap();
    let origin = format!("{}://{}", uri.scheme_str().unwrap(), uri.authority().unwrap());
    let transport = LiveTransport::new(&Policy::of(vec![origin.parse().unwrap()]), tls);
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    transport.send(http::Request::get(uri).body(body).unwrap(), Timeouts::default()).await
}

fn tls() -> Tls {
    Tls::new(None).unwrap()
}

#[tokio::test]
async fn a_closed_port_is_connection_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(get(&tls(), &format!("http://{address}/")).await, Err(HttpError::ConnectionRefused)));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let server = Server::start();
    server.next_answer(Answer::status(302, "location: /elsewhere\r\n"));
    let response = get(&tls(), &format!("{}/a?b=c%20d", server.origin())).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(server.requests(), ["/a?b=c%20d"]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    let server = Server::start();
    for cut in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        server.next_answer(Answer::Cut(cut.to_vec()));
        let response = get(&tls(), &server.origin()).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(matches!(error, HttpError::HttpResponseIncomplete | HttpError::ConnectionTerminated), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_an_error() {
    let server = Server::start();
    server.next_answer(Answer::Cut(Vec::new()));
    let error = get(&tls(), &server.origin()).await.unwrap_err();
    assert!(matches!(error, HttpError::HttpResponseIncomplete | HttpError::ConnectionTerminated), "{error:?}");
    server.next_answer(Answer::Cut(b"SSH-2.0-garbage\r\n".to_vec()));
    let error = get(&tls(), &server.origin()).await.unwrap_err();
    assert!(matches!(error, HttpError::HttpProtocolError), "{error:?}");
}

#[tokio::test]
async fn a_compressed_answer_arrives_decoded_with_headers_that_fit() {
    // `printf hello | gzip -n`
    let gzip =
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0];
    let server = Server::start();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", gzip.len());
    server.next_answer(Answer::Raw([head.as_bytes(), &gzip].concat()));
    let response = get(&tls(), &server.origin()).await.unwrap();
    assert!(!response.headers().contains_key("content-encoding") && !response.headers().contains_key("content-length"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    server.next_answer(Answer::Raw([head.as_bytes(), &[0; 25]].concat()));
    let error = get(&tls(), &server.origin()).await.unwrap().into_body().collect().await.unwrap_err();
    assert!(matches!(error, HttpError::HttpResponseContentCoding(_)), "{error:?}");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_dns_error() {
    let error = get(&tls(), "https://no-such-host.invalid/").await.unwrap_err();
    assert!(matches!(error, HttpError::DnsError { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_known_root_and_its_own_name() {
    let port = start_tls();
    let untrusted = get(&tls(), &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(untrusted, HttpError::TlsCertificateError), "{untrusted:?}");
    let trusting = Tls::new(Some(&fixture("ca.pem"))).unwrap();
    let response = get(&trusting, &format!("https://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let other_name = get(&trusting, &format!("https://localhost:{port}/")).await.unwrap_err();
    assert!(matches!(other_name, HttpError::TlsCertificateError), "{other_name:?}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    for path in [fixture("server.key"), fixture("none.pem")] {
        let message = Tls::new(Some(&path)).unwrap_err().to_string();
        assert!(message.contains("cannot read the certificates in"), "{message}");
    }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// Answers every connection that gets through the handshake with `hello`.
fn start_tls() -> u16 {
    let certificates = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            // A client that does not believe us goes away here.
            if matches!(tls.read(&mut [0; 4_096]), Ok(read) if read > 0) {
                drop(tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"));
                session.send_close_notify();
                drop(session.complete_io(&mut stream));
            }
        }
    });
    port
}
