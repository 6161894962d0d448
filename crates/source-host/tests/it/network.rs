//! What connections are: shared, verified, decoded, and given up in time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use source_host::{HttpError, LiveTransport, Proxy, Timeouts, Tls};

use crate::live::fetch;
use crate::tls::{TlsServer, fixture};

fn transport() -> LiveTransport {
    LiveTransport::new(&Tls::new(Some(&fixture("ca.pem"))).unwrap(), &Proxy::none())
}

fn hello(_: &http::Request<hyper::body::Incoming>) -> http::Response<Full<Bytes>> {
    http::Response::new("hello".into())
}

async fn text(transport: &LiveTransport, url: &str) -> Result<Bytes, HttpError> {
    Ok(fetch(transport, url, Timeouts::default()).await?.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn sources_share_one_connection_of_http_2() {
    let server = TlsServer::start(&["h2", "http/1.1"], "server.pem", |request| {
        http::Response::new(format!("{:?}", request.version()).into())
    })
    .await;
    let transport = transport();
    assert_eq!(text(&transport, &server.url("/")).await.unwrap(), "HTTP/2.0");
    let url = server.url("/");
    let at_once = join_all((0..20).map(|_| text(&transport, &url))).await;
    assert!(at_once.into_iter().all(|answer| answer.unwrap() == "HTTP/2.0"));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_of_http_1_is_used_again() {
    let server = TlsServer::start(&["http/1.1"], "server.pem", hello).await;
    let transport = transport();
    for _ in 0..5 {
        assert_eq!(text(&transport, &server.url("/")).await.unwrap(), "hello");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_source_that_stops_reading_does_not_hold_up_those_on_the_same_connection() {
    let server = TlsServer::start(&["h2"], "server.pem", |request| match request.uri().path() {
        "/large" => http::Response::new(vec![b'x'; 4 << 20].into()),
        _ => hello(request),
    })
    .await;
    let transport = transport();
    let mut unread = Vec::new();
    for _ in 0..16 {
        unread.push(fetch(&transport, &server.url("/large"), Timeouts::default()).await.unwrap());
    }
    assert_eq!(text(&transport, &server.url("/")).await.unwrap(), "hello");
    assert_eq!(server.connections(), 1);
    let last = unread.pop().unwrap().into_body().collect().await.unwrap();
    assert_eq!(last.to_bytes().len(), 4 << 20);
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_known_root_and_its_own_name_in_time() {
    let server = TlsServer::start(&["http/1.1"], "server.pem", hello).await;
    let expired = TlsServer::start(&["http/1.1"], "expired.pem", hello).await;
    assert_eq!(text(&transport(), &server.url("/")).await.unwrap(), "hello");
    let strangers = LiveTransport::new(&Tls::new(None).unwrap(), &Proxy::none());
    let other_name = format!("https://localhost:{}/", server.port);
    for (transport, url) in
        [(&strangers, server.url("/")), (&transport(), other_name), (&transport(), expired.url("/"))]
    {
        let error = text(transport, &url).await.unwrap_err();
        assert!(matches!(error, HttpError::TlsCertificateError), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_arrives_decoded_with_headers_that_fit() {
    // `hello` by gzip, zlib and brotli.
    const GZIP: &[u8] =
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0];
    const DEFLATE: &[u8] = &[120, 156, 203, 72, 205, 201, 201, 7, 0, 6, 44, 2, 21];
    const BROTLI: &[u8] = &[0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
    let server = TlsServer::start(&["h2", "http/1.1"], "server.pem", |request| {
        let accepted = request.headers()["accept-encoding"].to_str().unwrap();
        assert!(["gzip", "deflate", "br"].iter().all(|coding| accepted.contains(coding)), "{accepted}");
        let (coding, body) = match request.uri().path() {
            "/gzip" => ("gzip", GZIP),
            "/deflate" => ("deflate", DEFLATE),
            "/br" => ("br", BROTLI),
            "/cut" => ("gzip", &GZIP[..15]),
            "/garbage" => ("br", GZIP),
            other => (&other[1..], &b"hello"[..]),
        };
        let headers = http::Response::builder().header("content-encoding", coding).header("content-length", body.len());
        headers.body(body.into()).unwrap()
    })
    .await;
    let transport = transport();
    for path in ["/gzip", "/deflate", "/br"] {
        let answer = fetch(&transport, &server.url(path), Timeouts::default()).await.unwrap();
        let coded = ["content-encoding", "content-length"].map(|name| answer.headers().contains_key(name));
        assert_eq!(coded, [false, false], "{path}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello", "{path}");
    }
    let error = text(&transport, &server.url("/cut")).await.unwrap_err();
    assert!(matches!(error, HttpError::HttpResponseIncomplete), "{error:?}");
    let error = text(&transport, &server.url("/garbage")).await.unwrap_err();
    assert!(matches!(error, HttpError::HttpResponseContentCoding(_)), "{error:?}");
    // What was not asked for passes as it is, and says so.
    let answer = fetch(&transport, &server.url("/x-own"), Timeouts::default()).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "x-own");
    assert_eq!(answer.headers()["content-length"], "5");
}

#[tokio::test]
async fn a_server_that_accepts_and_never_shakes_hands_is_a_connection_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let timeouts = Timeouts { connect: Duration::from_millis(50), ..Timeouts::default() };
    let error = fetch(&transport(), &url, timeouts).await.unwrap_err();
    assert!(matches!(error, HttpError::ConnectionTimeout), "{error:?}");
}
