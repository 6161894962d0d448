//! The network as the component sees it.

use std::net::TcpListener;

use http_body_util::{BodyExt as _, Empty};
use source_host::{HttpError, LiveTransport, Proxy, Timeouts, Tls, Transport as _, WasiBody};

use crate::server::{Answer, Server};
use crate::tls::fixture;

async fn get(tls: &Tls, url: &str) -> Result<http::Response<WasiBody>, HttpError> {
    fetch(&LiveTransport::new(tls, &Proxy::none()), url, Timeouts::default()).await
}

/// One GET through a transport.
pub(crate) async fn fetch(
    transport: &LiveTransport,
    url: &str,
    timeouts: Timeouts,
) -> Result<http::Response<WasiBody>, HttpError> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    transport.send(http::Request::get(url).body(body).unwrap(), timeouts).await
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
async fn a_name_that_nobody_knows_is_a_dns_error() {
    let error = get(&tls(), "https://no-such-host.invalid/").await.unwrap_err();
    assert!(matches!(error, HttpError::DnsError { .. }), "{error:?}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    for path in [fixture("server.key"), fixture("none.pem")] {
        let message = Tls::new(Some(&path)).unwrap_err().to_string();
        assert!(message.contains("cannot read the certificates in"), "{message}");
    }
}
