//! What comes back: an answer with its bytes and their pace, or a connection that fails.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::coding::Coding;
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
    /// What passes before each chunk.
    pub pause: Duration,
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

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// It is whole, as far as a reader can tell.
    Complete,
    /// The connection breaks.
    Broken,
    /// The connection ends before as much has come as `content-length` says.
    Short,
    /// Nothing more comes, and the connection stays open.
    Stalled,
}

impl Response {
    /// The part of the body that arrives, in chunks. `sizes` is what the scenario asks for where this answer has no
    /// sizes of its own.
    pub fn arriving(&self, sizes: &ChunkSizes) -> Vec<&[u8]> {
        let mut rest = &self.body[..self.end().0];
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

    /// How the body ends.
    pub fn ending(&self) -> Ending {
        self.end().1
    }

    /// After how many bytes the body ends, and how. As HTTP has it, no more is read than `content-length` says, and less is
    /// an error.
    fn end(&self) -> (usize, Ending) {
        let whole = self.body.len();
        let (end, ending) = match (self.cut, self.stall) {
            (Some(cut), _) => (cut.min(whole), Ending::Broken),
            (None, Some(stall)) => (stall.min(whole), Ending::Stalled),
            (None, None) => (whole, Ending::Complete),
        };
        match self.content_length() {
            Some(length) if length <= end => (length, Ending::Complete),
            Some(_) if ending == Ending::Complete => (end, Ending::Short),
            _ => (end, ending),
        }
    }

    /// What the headers say of the length. An answer without a body may speak of the one that another request would get.
    fn content_length(&self) -> Option<usize> {
        let says = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
        };
        self.headers.iter().find_map(says).filter(|_| !self.body.is_empty())
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object(&[
            "status", "headers", "json", "text", "file", "base64", "coding", "latency", "chunks", "pause", "cut",
            "stall",
        ])?;
        let status = object.need("status", "the HTTP status, such as 200")?;
        let code = status.integer()?;
        let Some(code) = u16::try_from(code).ok().filter(|code| (200..600).contains(code)) else {
            return Err(status.problem(format!("{code} is no final HTTP status"), "write one from 200 to 599"));
        };
        let mut headers = object.read("headers", read_headers)?.unwrap_or_default();
        let mut body = read_body(&object)?;
        if let Some(node) = object.get("coding") {
            let coding = Coding::read(node)?;
            headers.push(("content-encoding".to_owned(), coding.word().to_owned()));
            body = coding.encode(&body);
        }
        object.at_most_one(&["cut", "stall"])?;
        let response = Self {
            status: code,
            headers,
            latency: object.read("latency", read_duration)?.unwrap_or_default(),
            chunks: object.read("chunks", ChunkSizes::read)?.unwrap_or_default(),
            pause: object.read("pause", read_duration)?.unwrap_or_default(),
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

/// Reads an ISO 8601 duration.
pub(crate) fn read_duration(node: &Node<'_>) -> Result<Duration, Problem> {
    let text = node.string()?;
    parse_duration(&text).ok_or_else(|| {
        node.problem(format!("`{text}` is no duration"), "write an ISO 8601 duration such as PT0.25S, PT5M or P1D")
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
            pause: Duration::ZERO,
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
        assert_eq!(answer.ending(), Ending::Broken);
        let nothing: [&[u8]; 0] = [];
        let stalled = Response { stall: Some(0), ..response("abc") };
        assert_eq!((stalled.arriving(&ChunkSizes::Whole), stalled.ending()), (nothing.to_vec(), Ending::Stalled));
    }

    #[test]
    fn no_more_is_read_than_content_length_says_and_less_is_an_error() {
        let saying = |length: &str| Response {
            headers: vec![("Content-Length".to_owned(), length.to_owned())],
            ..response("abcdefg")
        };
        let read = |answer: &Response| (answer.arriving(&ChunkSizes::Whole).concat().len(), answer.ending());
        assert_eq!(read(&saying("7")), (7, Ending::Complete));
        assert_eq!(read(&saying("3")), (3, Ending::Complete));
        assert_eq!(read(&saying("8")), (7, Ending::Short));
        assert_eq!(read(&Response { cut: Some(2), ..saying("3") }), (2, Ending::Broken));
        assert_eq!(read(&Response { cut: Some(5), ..saying("3") }), (3, Ending::Complete));
        assert_eq!(read(&Response { stall: Some(5), ..saying("8") }), (5, Ending::Stalled));
        // What answers HEAD says what GET would get.
        assert_eq!(read(&Response { body: Vec::new(), ..saying("8") }), (0, Ending::Complete));
    }
}
