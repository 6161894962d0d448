//! The members of an object at the top of an answer: `value`, which holds the records, and the link to the next page.

use crate::json::Node;

use super::Scanner;

/// The longest link, in bytes: far more than a URL of any server has. A longer one is no link that can be used.
const MAX_LINK: usize = 16 * 1024;

/// The longest name that is kept, in bytes: more than the names that are looked for have.
const MAX_NAME: usize = 32;

/// How far such an object has been looked through, what it showed, and where that stands between its members.
#[derive(Default)]
pub(super) struct Envelope {
    scanner: Scanner,
    member: Member,
    /// The name or the link that is being read.
    text: Vec<u8>,
    has_value: bool,
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
            if depth == 1 && self.member(byte, was_in_string) {
                self.scanner.depth = 1;
                return (at + 1, Step::ValueArray);
            }
            if self.scanner.depth == 0 {
                return (at + 1, Step::Closed);
            }
        }
        (bytes.len(), Step::Unfinished)
    }

    /// Takes a byte between the object's own brackets; true where it opens the array of `value`.
    fn member(&mut self, byte: u8, was_in_string: bool) -> bool {
        let ends_string = byte == b'"' && !self.scanner.in_string;
        self.member = match (self.member, byte) {
            (Member::NameExpected, b'"') => {
                self.text.clear();
                Member::Name
            }
            (Member::Name, _) if ends_string => Member::ValueExpected(match self.text.as_slice() {
                b"value" if !self.has_value => Named::Value,
                b"@odata.nextLink" => Named::Link,
                _ => Named::Other,
            }),
            (Member::Name, _) => {
                self.keep(byte, MAX_NAME);
                Member::Name
            }
            (Member::ValueExpected(Named::Value), b'[') => {
                self.has_value = true;
                self.member = Member::Value;
                return true;
            }
            (Member::ValueExpected(named), b':' | b' ' | b'\t' | b'\n' | b'\r') => Member::ValueExpected(named),
            (Member::ValueExpected(Named::Link), b'"') => {
                self.text.clear();
                self.text.push(byte);
                Member::Link
            }
            (Member::ValueExpected(Named::Link), _) => {
                self.link = (byte != b'n').then(|| char::from(byte).to_string());
                Member::Value
            }
            (Member::Link, _) => {
                self.keep(byte, MAX_LINK);
                if ends_string {
                    self.link = Some(match Node::read(&self.text) {
                        Ok(Node::Text(link)) => link,
                        _ => "\"".to_owned(),
                    })
                    .filter(|link| !link.is_empty());
                    Member::Value
                } else {
                    Member::Link
                }
            }
            (Member::ValueExpected(_), _) => Member::Value,
            (Member::Value, b',') if !was_in_string => Member::NameExpected,
            (member, _) => member,
        };
        false
    }

    fn keep(&mut self, byte: u8, most: usize) {
        if self.text.len() < most {
            self.text.push(byte);
        }
    }
}
