//! The service: a token and detections over HTTP/1.1, from memory.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use defender_core::tick::Tick;

use crate::Served;
use crate::detections::Detections;

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"bench"}"#;

/// Serves until it is killed, and says on stdout on which port.
pub(crate) fn serve(served: &Served) -> anyhow::Result<()> {
    let detections = Detections::generate(served.detections, Tick(served.since), served.span);
    let service = Arc::new(Service { detections, parts: Mutex::default() });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{} {}", listener.local_addr()?.port(), service.detections.body().len())?;
    stdout.flush()?;
    for stream in listener.incoming() {
        let (stream, service) = (stream?, Arc::clone(&service));
        // A client that went away ends its own connection and nothing else.
        std::thread::spawn(move || service.converse(stream));
    }
    Ok(())
}

/// The bodies of the answers that were asked for, by their bounds.
type Parts = HashMap<(Tick, Tick), Arc<Vec<u8>>>;

struct Service {
    detections: Detections,
    /// Answers for a part of the detections, made once each.
    parts: Mutex<Parts>,
}

impl Service {
    fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut answers = stream.try_clone()?;
        let mut requests = BufReader::new(stream);
        while let Some(target) = read_request(&mut requests)? {
            if target.starts_with("/token") {
                answer(&mut answers, TOKEN.as_bytes())?;
                continue;
            }
            match range(&target) {
                Some((since, until)) if !self.detections.all_between(since, until) => {
                    answer(&mut answers, &self.part(since, until))?;
                }
                _ => answer(&mut answers, self.detections.body())?,
            }
        }
        Ok(())
    }

    fn part(&self, since: Tick, until: Tick) -> Arc<Vec<u8>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry((since, until)).or_insert_with(|| Arc::new(self.detections.between(since, until)));
        Arc::clone(part)
    }
}

/// The target of the next request, whose body is read and dropped.
fn read_request(requests: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    if requests.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        requests.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut requests.take(length), &mut std::io::sink())?;
    Ok(Some(target))
}

fn answer(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn range(target: &str) -> Option<(Tick, Tick)> {
    let query = target.split_once('?')?.1;
    let stamp = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Tick::parse(&value.replace("%3A", ":"))
    };
    Some((stamp("sinceTimeUtc")?, stamp("untilTimeUtc")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_read_from_the_query() {
        let (since, until) =
            range("/api/alerts?sinceTimeUtc=2026-01-01T10:00:00Z&untilTimeUtc=2026-01-01T11%3A00%3A00Z").unwrap();
        assert_eq!(until.0 - since.0, 36_000_000_000);
        assert_eq!(range("/api/alerts"), None);
    }
}
