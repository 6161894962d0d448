//! Finds what is known to be a secret, in every encoding that a text may have.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::base64::runs;
use super::json;
use super::known::{Item, Known};
use super::view::views;

/// Encodings within encodings that are looked through: a link in a form in JSON.
const DEPTH: usize = 3;

/// Finds and replaces what was learnt.
pub(super) struct Sweep {
    finder: Option<AhoCorasick>,
    items: Vec<Item>,
}

/// Other bytes in place of some. What stands there instead looks the same in every encoding.
struct Edit {
    at: Range<usize>,
    instead: Vec<u8>,
    item: usize,
}

impl Sweep {
    pub(super) fn new(known: Known) -> Self {
        let items = known.wanted();
        let finder =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(items.iter().map(|i| &i.value));
        // Fails for gigabytes of secrets alone.
        Self { finder: finder.ok(), items }
    }

    /// The bytes without what was learnt; `None` where they hold none of it.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let edits = self.edits(bytes, DEPTH);
        if edits.is_empty() { None } else { Some(applied(bytes, edits)) }
    }

    /// The same of a text.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        self.bytes(text.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same of a JSON document, text by text, and then as a whole.
    pub(super) fn json(&self, document: &str) -> String {
        let swept = json::rewritten(document, |piece| match piece.kind {
            json::Kind::Number => None,
            _ => self.text(&piece.text),
        });
        self.text(&swept).unwrap_or(swept)
    }

    /// What one of the secrets is called that these bytes hold.
    pub(super) fn finds(&self, bytes: &[u8]) -> Option<String> {
        self.edits(bytes, DEPTH).first().map(|edit| self.items[edit.item].what.clone())
    }

    fn edits(&self, bytes: &[u8], depth: usize) -> Vec<Edit> {
        let mut edits = self.plain(bytes);
        if depth == 0 {
            return edits;
        }
        for view in views(bytes) {
            for Edit { at, instead, item } in self.edits(&view.bytes, depth - 1) {
                add(&mut edits, Edit { at: view.at[at.start]..view.at[at.end], instead, item });
            }
        }
        for run in runs(bytes) {
            let inner = self.edits(&run.decoded, depth - 1);
            if let Some(item) = inner.first().map(|edit| edit.item) {
                let instead = run.encode(&applied(&run.decoded, inner));
                add(&mut edits, Edit { at: run.at, instead, item });
            }
        }
        edits.sort_by_key(|edit| edit.at.start);
        edits
    }

    fn plain(&self, bytes: &[u8]) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut start = 0;
        while let Some(found) = self.finder.as_ref().and_then(|finder| finder.find(Input::new(bytes).range(start..))) {
            let item = found.pattern().as_usize();
            let known = &self.items[item];
            if known.whole_word && !is_word(bytes, &found.range()) {
                start = found.start() + 1;
                continue;
            }
            start = found.end();
            edits.push(Edit { at: found.range(), instead: known.instead.clone().into_bytes(), item });
        }
        edits
    }
}

/// Adds an edit unless it is of what another one replaces.
fn add(edits: &mut Vec<Edit>, edit: Edit) {
    if edits.iter().all(|other| other.at.end <= edit.at.start || edit.at.end <= other.at.start) {
        edits.push(edit);
    }
}

fn applied(bytes: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    let mut applied = Vec::with_capacity(bytes.len());
    let mut end = 0;
    for Edit { at, instead, .. } in edits {
        applied.extend_from_slice(&bytes[end..at.start]);
        applied.extend_from_slice(&instead);
        end = at.end;
    }
    applied.extend_from_slice(&bytes[end..]);
    applied
}

fn is_word(bytes: &[u8], at: &Range<usize>) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii());
    !is_letter(at.start.checked_sub(1).and_then(|before| bytes.get(before))) && !is_letter(bytes.get(at.end))
}
