//! The members of an object at the top of an answer: `value`, which holds the records, and the link to the next page.

use crate::json::Node;

use super::Scanner;

/// The longest link, in bytes: far more than a URL of any server has. A longer one is no link that can be used.
const MAX_LINK: usize = 16 * 1024;

/// The longest name that is kept, in bytes: more than the names that are looked for have, every letter as an escape.
const MAX_NAME: usize = 128;

/// What stands for something that is no URL.
const NO_LINK: &str = "\"";

/// How far such an object has been looked through, what it showed, and where that stands between its members.
#[derive(Default)]
pub(super) struct Envelope {
    scanner: Scanner,
    member: Member,
    /// The name or the link that is being read.
    text: Vec<u8>,
    link: Option<String>,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, Default)]
enum Member {
    #[default]
    NameExpected,
    Name,
    /// A colon and then the value follow.
    ValueExpected(Named),
    Value,
    Link,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Named {
    Value,
    Link,
    Other,
}

/// What the bytes brought.
pub(super) enum Step {
    /// The array of `value` opens with the last byte that was looked at.
    ValueArray,
    /// The object ends with it.
    Closed,
    Unfinished,
}

/// Without the link, which may hold a token.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").field("member", &self.member).finish_non_exhaustive()
    }
}

impl Envelope {
    /// The link to the next page as it was written; one that is no string is what it begins with.
    pub(super) fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// Looks through the bytes that follow, and says at how many of them. An array of `value` is passed over by the caller.
    pub(super) fn run(&mut self, bytes: &[u8]) -> (usize, Step) {
        for (at, &byte) in bytes.iter().enumerate() {
            let was_in_string = self.scanner.in_string;
            let depth = self.scanner.depth;
            self.scanner.step(byte);
            if depth == 1
                && let Some(step) = self.member(byte, was_in_string)
            {
                self.scanner.depth = 1;
                return (at + 1, step);
            }
            if self.scanner.depth == 0 {
                return (at + 1, Step::Closed);
            }
        }
        (bytes.len(), Step::Unfinished)
    }

    /// Takes a byte between the object's own brackets; a step where it opens an array of `value`.
    fn member(&mut self, byte: u8, was_in_string: bool) -> Option<Step> {
        // In a string, the quote that ends it is the first byte outside.
        let ends_string = !self.scanner.in_string;
        self.member = match (self.member, byte) {
            (Member::NameExpected, b'"') => {
                self.text.clear();
                Member::Name
            }
            (Member::Name, _) if ends_string => Member::ValueExpected(self.named()),
            (Member::Name, _) => {
                self.keep(byte, MAX_NAME);
                Member::Name
            }
            (Member::ValueExpected(Named::Value), b'[') => {
                self.member = Member::Value;
                return Some(Step::ValueArray);
            }
            (Member::ValueExpected(named), b':' | b' ' | b'\t' | b'\n' | b'\r') => Member::ValueExpected(named),
            (Member::ValueExpected(Named::Link), b'"') => {
                self.text.clear();
                self.text.push(byte);
                Member::Link
            }
            (Member::ValueExpected(Named::Link), _) => {
                if byte != b'n' {
                    self.found(char::from(byte).to_string());
                }
                Member::Value
            }
            (Member::Link, _) => {
                self.keep(byte, MAX_LINK);
                if ends_string {
                    match Node::read(&self.text) {
                        Ok(Node::Text(link)) if link.is_empty() => {}
                        Ok(Node::Text(link)) => self.found(link),
                        _ => self.found(NO_LINK.to_owned()),
                    }
                    Member::Value
                } else {
                    Member::Link
                }
            }
            (Member::ValueExpected(_), _) => Member::Value,
            (Member::Value, b',') if !was_in_string => Member::NameExpected,
            (member, _) => member,
        };
        None
    }

    /// Which member the name that was read is of, however it is written.
    fn named(&self) -> Named {
        let name = Node::read(&[b"\"", self.text.as_slice(), b"\""].concat());
        match name.as_ref().ok().and_then(Node::as_text) {
            Some("value") => Named::Value,
            Some("@odata.nextLink") => Named::Link,
            _ => Named::Other,
        }
    }

    /// Keeps a link. Where there are two that differ, none can be followed.
    fn found(&mut self, link: String) {
        self.link = Some(match self.link.take() {
            Some(other) if other != link => NO_LINK.to_owned(),
            _ => link,
        });
    }

    fn keep(&mut self, byte: u8, most: usize) {
        if self.text.len() < most {
            self.text.push(byte);
        }
    }
}
