//! What looks like a real secret, in a text and in the files of a scenario.

mod shape;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::canary::is_secret;
use crate::node::{Document, Node};
use crate::placeholder::{PLACEHOLDER_WORDS, is_placeholder};
use crate::problem::Problem;
use crate::request::decode_form;

pub use shape::{Shape, shapes};

/// Members of a form or a query, and of a link, that are secrets there and often something else in JSON.
const SECRETS_OF_LINKS: [&str; 2] = ["code", "sig"];

/// A shorter `code` in a link is that of an error, and no authorization code.
pub const SHORTEST_CODE: usize = 16;

/// Everything in a file of a scenario that looks like a real secret, with its place. JSON is looked through value by
/// value, a file of JSON lines line by line, and any other text as it is.
pub fn suspicions(file: &Path, text: &str) -> Vec<Problem> {
    if let Ok(document) = Document::parse(file, text.to_owned()) {
        let mut look = Look::default();
        look.at(&document.root(), &Place::default());
        return look.problems;
    }
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found: Vec<Problem> = match Document::parse(file, line.to_owned()) {
            Ok(document) => {
                let mut look = Look::default();
                look.at(&document.root(), &Place::default());
                look.problems
            }
            Err(_) => shapes(line).iter().map(|shape| in_text(file, shape.what)).collect(),
        };
        problems.extend(found.into_iter().map(|problem| Problem { line: Some(index + 1), ..problem }));
    }
    problems
}

fn in_text(file: &Path, what: &str) -> Problem {
    Problem::of_file(file, told(what), hint())
}

fn told(what: &str) -> String {
    format!("this looks like a real secret: {what}")
}

fn hint() -> String {
    let words = PLACEHOLDER_WORDS.map(|word| format!("`{word}`")).join(", ");
    format!(
        "put an invented one in its place that says so, by one of {words} in it; `host-test record` does that by itself. \
         Was it real, and did anybody get to see the file, then revoke it"
    )
}

/// Where a value stands.
#[derive(Clone, Default)]
struct Place {
    /// The nearest name above it.
    name: String,
    /// The name above that one.
    parent: String,
}

#[derive(Default)]
struct Look {
    problems: Vec<Problem>,
}

impl Look {
    fn at(&mut self, node: &Node<'_>, place: &Place) {
        if let Ok(members) = node.members() {
            for (name, member) in members {
                // A pattern stands for the value that it is a pattern of.
                let place = if name == "pattern" { place.clone() } else { Place { name, parent: place.name.clone() } };
                self.at(&member, &place);
            }
        } else if let Ok(items) = node.array() {
            items.iter().for_each(|item| self.at(item, place));
        } else if let Ok(text) = node.string() {
            self.text(node, place, &text);
        }
    }

    fn text(&mut self, node: &Node<'_>, place: &Place, text: &str) {
        let of_link = SECRETS_OF_LINKS.contains(&place.name.to_ascii_lowercase().as_str())
            && ["form", "query"].contains(&place.parent.as_str());
        // The code of an error is no secret.
        let named = is_secret(&place.name) && !place.name.eq_ignore_ascii_case("code");
        if (named || of_link) && !is_harmless(&place.name, text) {
            self.problems.push(node.problem(told(&format!("a value of `{}`", place.name)), hint()));
            return;
        }
        let body = if place.parent == "response" { body(node, &place.name, text) } else { None };
        let found = match &body {
            Some(body) => shapes(body).first().map(|shape| shape.what.to_owned()),
            None => shapes(text).first().map(|shape| shape.what.to_owned()).or_else(|| in_link(text)),
        };
        if let Some(what) = found {
            self.problems.push(node.problem(told(&what), hint()));
        } else if let (Some(body), "file") = (body, place.name.as_str()) {
            self.problems.extend(suspicions(&node.folder().join(text), &body));
        }
    }
}

/// The text of a body that stands elsewhere than in clear, as far as it is text.
fn body(node: &Node<'_>, name: &str, value: &str) -> Option<String> {
    let bytes = match name {
        "base64" => STANDARD.decode(value).ok()?,
        // What is wrong with the name or the file is told where the answer is read.
        "file" => std::fs::read(node.folder().join(value)).ok()?,
        _ => return None,
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether what stands under the name of a secret is none: nothing, a placeholder, any value.
fn is_harmless(name: &str, text: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let value = match name.as_str() {
        // What else is said of a cookie is no secret.
        "set-cookie" => text.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |pair| pair.1),
        "cookie" => {
            return text.split("; ").all(|pair| is_harmless("", pair.split_once('=').map_or(pair, |pair| pair.1)));
        }
        _ if name.ends_with("authorization") => match text.split_once(' ') {
            Some((scheme, credential)) if scheme.eq_ignore_ascii_case("Basic") => {
                let decoded = STANDARD.decode(credential).unwrap_or_default();
                return is_placeholder(&String::from_utf8_lossy(&decoded)) || is_harmless("", credential);
            }
            Some((_, credential)) => credential,
            None => text,
        },
        _ => text,
    };
    let any = value.chars().all(|letter| letter == '*' || letter == '"' || letter.is_whitespace());
    any || is_placeholder(value)
}

/// A secret among the members of a link.
fn in_link(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let members = rest.split(['?', '#']).skip(1).flat_map(decode_form);
    members
        .filter(|(name, _)| is_secret(name) || SECRETS_OF_LINKS.iter().any(|known| known.eq_ignore_ascii_case(name)))
        .filter(|(name, value)| !name.eq_ignore_ascii_case("code") || value.len() >= SHORTEST_CODE)
        .find(|(name, value)| !is_harmless(name, value))
        .map(|(name, _)| format!("`{name}` in a link"))
}

#[cfg(test)]
#[path = "suspicion_tests.rs"]
mod tests;
