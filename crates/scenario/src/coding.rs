//! Codings of bodies.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::nearest::nearest;
use crate::node::Node;
use crate::problem::Problem;

/// How a body is coded on its way, whether or not that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// The word for it in `content-encoding`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
        }
    }

    /// The coded bytes, the same at every time.
    pub fn encode(self, body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // A `Vec` takes everything.
        let _ = encoder.write_all(body);
        encoder.finish().unwrap_or_default()
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let word = node.string()?;
        if word == Self::Gzip.word() {
            return Ok(Self::Gzip);
        }
        let hint = match nearest(&word, [Self::Gzip.word()]) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write \"gzip\"; of another coding write the bytes as `base64`".to_owned(),
        };
        Err(node.problem(format!("`{word}` is no coding that is known here"), hint))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::path::Path;

    use crate::{Answer, Traffic};

    #[test]
    fn a_body_is_packed_and_its_head_says_so() {
        let text = r#"{"interactions": [{"why": "it is asked", "request": {"method": "GET", "url": "https://api.example/a"},
            "response": {"status": 200, "json": [1, 2], "coding": "gzip"}}]}"#;
        let traffic = Traffic::parse(Path::new("traffic.json"), text).unwrap();
        let Answer::Response(response) = &traffic.groups[0].interactions[0].answer else { panic!("no response") };
        assert_eq!(response.headers, [("content-encoding".to_owned(), "gzip".to_owned())]);
        let mut body = String::new();
        flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut body).unwrap();
        assert_eq!(body, "[1, 2]");
        // As bytes it stays the same.
        let written = String::from_utf8(traffic.written()[0].1.clone()).unwrap();
        assert_eq!(
            Traffic::parse(Path::new("traffic.json"), &written).unwrap().groups[0].interactions[0].answer,
            traffic.groups[0].interactions[0].answer
        );
    }
}
