//! A service on the loopback interface that speaks as Microsoft's do, with secrets that look real.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A client secret with characters that every encoding changes.
pub(crate) const SECRET: &str = "Vx38Q~q/+&=%\"\\ü-Zr7hTn2kLw9PbYc5Dm0s";
pub(crate) const SIGNATURE: &str = "Qm9ndXMtc2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
/// Header and claims are read by nobody.
pub(crate) const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6Imstb2YtYS1rZXkifQ.eyJhdWQiOiJodHRwczovL2dyYXBoLndpbmRvd3MubmV0IiwidW5pcXVlX25hbWUiOiJhLmtlbGxlciIsInJvbGVzIjpbIkFsZXJ0LlJlYWQuQWxsIl19.Qm9ndXMtc2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
pub(crate) const COOKIE: &str = "cookie-of-a-balancer-6c1f09";
pub(crate) const LINK: &str = "c2VjcmV0LW9mLWEtbGluaw";

/// Runs until the test ends; returns its base URL, and what gets a word for each request.
pub(crate) fn start() -> (String, Receiver<()>) {
    let (told, requests) = channel();
    let port = accept(move |stream| serve(stream, &told));
    (format!("http://127.0.0.1:{port}"), requests)
}

/// The same over TLS, with a certificate for 127.0.0.1 and api.example.com; returns its port.
pub(crate) fn start_tls() -> u16 {
    let certificates = CertificateDer::pem_file_iter(tls_file("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(certificates, key).unwrap());
    accept(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        serve(StreamOwned::new(connection, stream), &channel().0);
    })
}

/// A file of the tests of `source-host`: `ca.pem` is the root of what the server shows.
pub(crate) fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/source-host/tests/tls").join(name)
}

/// A proxy that opens tunnels to loopback, whatever name is asked for, or answers with this status line instead; returns
/// its port, and what gets the head of each request.
pub(crate) fn start_proxy(refusal: Option<&'static str>) -> (u16, Receiver<String>) {
    let (told, heads) = channel();
    let port = accept(move |mut stream| {
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
        let port: u16 = head.split([' ', ':']).nth(2).and_then(|port| port.parse().ok()).unwrap_or_default();
        let _nobody_listens = told.send(head);
        if let Some(refusal) = refusal {
            let _gone = stream.write_all(format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n").as_bytes());
            return;
        }
        let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), stream.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _gone = std::io::copy(&mut reader, &mut &server);
    });
    (port, heads)
}

/// Serves each connection to a port of loopback on a thread of its own.
fn accept(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(stream: impl Read + Write, told: &Sender<()>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            head.push(std::mem::take(&mut line));
        }
        let Some(first) = head.first().cloned() else { return };
        let length =
            head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        // Most tests do not listen.
        let _nobody_listens = told.send(());
        let (status, answer) = answer(&first, &head, &body);
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nset-cookie: lb={COOKIE}; Path=/; HttpOnly\r\n\
             content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        let writer = reader.get_mut();
        if writer.write_all(answer.as_bytes()).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn answer(first: &str, head: &[String], body: &[u8]) -> (&'static str, String) {
    let form = percent_encoding::percent_decode(body).decode_utf8_lossy().into_owned();
    let has_token = head.iter().any(|line| line.to_lowercase().starts_with("authorization:") && line.contains(TOKEN));
    if first.starts_with("POST /token") && form.contains(SECRET) {
        // A chatty service that repeats what it was sent.
        let echo = serde_json::json!({
            "token_type": "Bearer", "expires_in": "3599", "access_token": TOKEN, "id_token": TOKEN, "debug": form,
        });
        return ("200 OK", echo.to_string());
    }
    if first.starts_with("GET /api/alerts") && has_token {
        let event = serde_json::json!([{
            "AlertTime": "2026-03-02T08:02:11Z", "AlertId": "da1_1", "FullId": "da1_1:a", "AlertTitle": "Something",
            "LastProcessedTimeUtc": "2026-03-02T08:03:40Z", "ComputerDnsName": "fin-lt-0231.contoso.example",
            "UserName": "a.keller", "LinkToWDATP": format!("https://a.example/?sig={LINK}"),
        }]);
        return ("200 OK", event.to_string());
    }
    ("401 Unauthorized", format!("{{\"error\": \"refused\", \"got\": {}}}", serde_json::json!(form)))
}
