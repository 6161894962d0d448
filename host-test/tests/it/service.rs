//! A service on the loopback interface that speaks as Microsoft's do, with secrets that look real.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = told.clone();
            std::thread::spawn(move || serve(stream, &told));
        }
    });
    (url, requests)
}

fn serve(stream: TcpStream, told: &Sender<()>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
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
        reader.read_exact(&mut body).unwrap();
        // Most tests do not listen.
        let _nobody_listens = told.send(());
        let (status, answer) = answer(&first, &head, &body);
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nset-cookie: lb={COOKIE}; Path=/; HttpOnly\r\n\
             content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if writer.write_all(answer.as_bytes()).is_err() {
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
