//! What comes back: an answer with its bytes and their pace, or a connection that fails.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::duration::parse_duration;
use crate::node::{Node, Object};
use crate::problem::Problem;

/// An answer of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names and values, as they are sent; nothing is added.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// How long the answer takes to begin.
    pub latency: Duration,
    /// How the body is cut into chunks on its way.
    pub chunks: ChunkSizes,
    /// After how many bytes of the body the connection breaks.
    pub cut: Option<usize>,
    /// After how many bytes of the body nothing more comes, and the connection stays open.
    pub stall: Option<usize>,
}

/// The sizes of the chunks in which a body arrives.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ChunkSizes {
    /// All at once.
    #[default]
    Whole,
    /// Every chunk of this many bytes.
    Every(usize),
    /// These sizes; what is left comes as one.
    Each(Vec<usize>),
}

/// A connection that fails before an answer comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedFailure {
    /// How it fails.
    pub kind: FailureKind,
    /// How long that takes.
    pub latency: Duration,
}

/// How a connection fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// The host name does not resolve.
    Dns,
    /// The connection is refused.
    Refused,
    /// The TLS handshake fails.
    Tls,
    /// The certificate is not trusted.
    Certificate,
    /// The connection is not made in time.
    ConnectTimeout,
    /// The answer does not begin in time.
    Timeout,
    /// The connection is reset.
    Reset,
    /// What comes back is not HTTP.
    Protocol,
    /// The host's policy refuses the request.
    Denied,
}

impl FailureKind {
    const ALL: [(&'static str, Self); 9] = [
        ("dns", Self::Dns),
        ("refused", Self::Refused),
        ("tls", Self::Tls),
        ("certificate", Self::Certificate),
        ("connect-timeout", Self::ConnectTimeout),
        ("timeout", Self::Timeout),
        ("reset", Self::Reset),
        ("protocol", Self::Protocol),
        ("denied", Self::Denied),
    ];

    /// What a word of `traffic.json` stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
    }

    /// The word for it in `traffic.json`.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

impl Response {
    /// The part of the body that arrives, in chunks. `sizes` is what the scenario asks for where this answer has no
    /// sizes of its own.
    pub fn arriving(&self, sizes: &ChunkSizes) -> Vec<&[u8]> {
        let end = [self.cut, self.stall].into_iter().flatten().min().unwrap_or(usize::MAX).min(self.body.len());
        let mut rest = &self.body[..end];
        let sizes = if self.chunks == ChunkSizes::Whole { sizes } else { &self.chunks };
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let size = match sizes {
                ChunkSizes::Whole => rest.len(),
                ChunkSizes::Every(size) => *size,
                ChunkSizes::Each(sizes) => sizes.get(chunks.len()).copied().unwrap_or(rest.len()),
            };
            let (chunk, later) = rest.split_at(size.clamp(1, rest.len()));
            chunks.push(chunk);
            rest = later;
        }
        chunks
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object =
            node.object(&["status", "headers", "json", "text", "file", "base64", "latency", "chunks", "cut", "stall"])?;
        let status = object.need("status", "the HTTP status, such as 200")?;
        let code = status.integer()?;
        let Some(code) = u16::try_from(code).ok().filter(|code| (200..600).contains(code)) else {
            return Err(status.problem(format!("{code} is no final HTTP status"), "write one from 200 to 599"));
        };
        let headers = object.read("headers", read_headers)?.unwrap_or_default();
        let body = read_body(&object)?;
        object.at_most_one(&["cut", "stall"])?;
        let response = Self {
            status: code,
            headers,
            latency: object.read("latency", read_duration)?.unwrap_or_default(),
            chunks: object.read("chunks", ChunkSizes::read)?.unwrap_or_default(),
            cut: object.read("cut", |node| read_end(node, body.len()))?,
            stall: object.read("stall", |node| read_end(node, body.len()))?,
            body,
        };
        Ok(response)
    }
}

impl ChunkSizes {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let positive = |node: &Node<'_>| match node.size()? {
            0 => Err(node.problem("a chunk of 0 bytes would end the body", "write 1 or more")),
            size => Ok(size),
        };
        if !node.is_array() {
            return Ok(Self::Every(positive(node)?));
        }
        let sizes = node.array()?.iter().map(positive).collect::<Result<_, _>>()?;
        Ok(Self::Each(sizes))
    }
}

impl RecordedFailure {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        if node.is_string() {
            return Ok(Self { kind: read_kind(node)?, latency: Duration::ZERO });
        }
        let object = node.object(&["kind", "latency"])?;
        let kind = read_kind(object.need("kind", "how the connection fails, such as \"refused\"")?)?;
        Ok(Self { kind, latency: object.read("latency", read_duration)?.unwrap_or_default() })
    }
}

/// Reads an ISO 8601 duration.
pub(crate) fn read_duration(node: &Node<'_>) -> Result<Duration, Problem> {
    let text = node.string()?;
    parse_duration(&text).ok_or_else(|| {
        node.problem(format!("`{text}` is no duration"), "write an ISO 8601 duration such as PT0.25S, PT5M or P1D")
    })
}

fn read_kind(node: &Node<'_>) -> Result<FailureKind, Problem> {
    let word = node.string()?;
    FailureKind::ALL.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind).ok_or_else(|| {
        let known = FailureKind::ALL.map(|(known, _)| known).join(", ");
        node.problem(format!("`{word}` is no way for a connection to fail"), format!("write one of {known}"))
    })
}

/// Header names are free; a list holds the values of a header that comes more than once.
fn read_headers(node: &Node<'_>) -> Result<Vec<(String, String)>, Problem> {
    let mut headers = Vec::new();
    for (name, node) in node.members()? {
        if http::HeaderName::try_from(name.as_str()).is_err() {
            return Err(node.problem(format!("`{name}` is no header name"), "write one such as content-type"));
        }
        let values = if node.is_array() { node.array()? } else { vec![node] };
        for value in values {
            let text = value.string()?;
            if http::HeaderValue::try_from(text.as_str()).is_err() {
                return Err(value.problem("a header value cannot hold line breaks", "write it in one line"));
            }
            headers.push((name.clone(), text));
        }
    }
    Ok(headers)
}

fn read_body(object: &Object<'_>) -> Result<Vec<u8>, Problem> {
    let Some((kind, node)) = object.at_most_one(&["json", "text", "file", "base64"])? else {
        return Ok(Vec::new());
    };
    match kind {
        "json" => Ok(node.raw().as_bytes().to_vec()),
        "text" => Ok(node.string()?.into_bytes()),
        "file" => read_file(node),
        _ => STANDARD.decode(node.string()?).map_err(|error| {
            node.problem(
                format!("this is no base64: {error}"),
                "encode the bytes with the standard alphabet and padding",
            )
        }),
    }
}

/// A file inside the folder: a scenario is moved and shared as a whole.
fn read_file(node: &Node<'_>) -> Result<Vec<u8>, Problem> {
    let name = node.string()?;
    let inside = std::path::Path::new(&name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside || name.is_empty() {
        let hint = "put the file into the folder of the scenario and write its name";
        return Err(node.problem(format!("`{name}` is not inside the folder of the scenario"), hint));
    }
    let path = node.folder().join(&name);
    std::fs::read(&path).map_err(|error| {
        node.problem(format!("the body `{name}` cannot be read: {error}"), "add the file, or correct its name")
    })
}

fn read_end(node: &Node<'_>, length: usize) -> Result<usize, Problem> {
    let end = node.size()?;
    if end > length {
        let hint = format!("write a number up to {length}");
        return Err(node.problem(format!("byte {end} is beyond the end of the body"), hint));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &str) -> Response {
        Response {
            status: 200,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            latency: Duration::ZERO,
            chunks: ChunkSizes::Whole,
            cut: None,
            stall: None,
        }
    }

    #[test]
    fn a_body_arrives_in_the_sizes_that_were_asked_for() {
        let mut answer = response("abcdefg");
        assert_eq!(answer.arriving(&ChunkSizes::Whole), [b"abcdefg"]);
        assert_eq!(answer.arriving(&ChunkSizes::Every(3)), [&b"abc"[..], b"def", b"g"]);
        answer.chunks = ChunkSizes::Each(vec![1, 2]);
        assert_eq!(answer.arriving(&ChunkSizes::Every(3)), [&b"a"[..], b"bc", b"defg"]);
    }

    #[test]
    fn a_cut_body_ends_where_it_is_cut() {
        let answer = Response { cut: Some(2), ..response("abcdefg") };
        assert_eq!(answer.arriving(&ChunkSizes::Every(4)), [b"ab"]);
        let nothing: [&[u8]; 0] = [];
        assert_eq!(Response { stall: Some(0), ..response("abc") }.arriving(&ChunkSizes::Whole), nothing);
    }
}
