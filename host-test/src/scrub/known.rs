//! What is known to be a secret, and what stands in its place.

use std::collections::BTreeMap;

use scenario::{guid_placeholder, is_made, is_placeholder, placeholder};

use super::token;

/// A shorter value is found by chance, so it is replaced under its name only.
pub(super) const SHORTEST: usize = 8;

/// The secrets and pseudonyms of one recording.
#[derive(Default)]
pub(super) struct Known {
    items: Vec<Item>,
    /// The place of each value among the items.
    places: BTreeMap<String, usize>,
    /// How many placeholders there are of each kind.
    made: BTreeMap<String, usize>,
    guids: usize,
    /// Whether what says that it is invented is taken at its word, as in a scenario that was loaded.
    trusts_words: bool,
}

/// A value, and what stands in its place.
pub(super) struct Item {
    /// What it is called.
    pub(super) what: String,
    pub(super) value: String,
    pub(super) instead: String,
    /// Whether the source was given it, and so would send the placeholder in its place.
    given: bool,
    /// Whether it counts only where no letter and no digit stands beside it.
    pub(super) whole_word: bool,
}

impl Known {
    pub(super) fn new(trusts_words: bool) -> Self {
        Self { trusts_words, ..Self::default() }
    }

    /// Learns a secret that the source was given, by its configuration or an answer, and returns its placeholder.
    pub(super) fn give(&mut self, what: &str, value: &str) -> String {
        self.learn(what, value, true)
    }

    /// Learns a secret of a request, and returns its placeholder where the source would send that.
    pub(super) fn sent(&mut self, what: &str, value: &str) -> Option<String> {
        let instead = self.learn(what, value, false);
        let given = self.places.get(value).is_none_or(|place| self.items[*place].given);
        given.then_some(instead)
    }

    /// The placeholder of a value that was learnt, or the value.
    pub(super) fn instead_of(&self, value: &str) -> String {
        self.places.get(value).map_or_else(|| value.to_owned(), |place| self.items[*place].instead.clone())
    }

    /// A text without the secrets that are known already, where they stand in clear and are no part of a longer word,
    /// which may be another secret.
    pub(super) fn hidden(&self, text: &str) -> String {
        let mut shown: Vec<&Item> =
            self.items.iter().filter(|item| item.value.len() >= SHORTEST && text.contains(&item.value)).collect();
        // The signature of a token is part of the token: the longer one goes first.
        shown.sort_by_key(|item| std::cmp::Reverse(item.value.len()));
        shown.iter().fold(text.to_owned(), |text, item| replaced(&text, &item.value, &item.instead))
    }

    fn learn(&mut self, what: &str, value: &str, given: bool) -> String {
        if value.is_empty() || self.is_harmless(value) {
            return value.to_owned();
        }
        if let Some(place) = self.places.get(value) {
            let item = &mut self.items[*place];
            item.given |= given;
            return item.instead.clone();
        }
        let instead = if is_guid(value) { self.next_guid() } else { self.next(what) };
        if let Some(signature) = token::signature(value) {
            // The signature alone makes a token worth stealing.
            self.add(Item {
                what: what.to_owned(),
                value: signature.to_owned(),
                instead: instead.clone(),
                given,
                whole_word: false,
            });
        }
        let instead = token::without_signature(value).map_or(instead.clone(), |kept| format!("{kept}.{instead}"));
        self.add(Item {
            what: what.to_owned(),
            value: value.to_owned(),
            instead: instead.clone(),
            given,
            whole_word: false,
        });
        instead
    }

    /// Whether a value was replaced before. Of a signed token that is its signature.
    fn is_harmless(&self, value: &str) -> bool {
        is_made(value) || token::signature(value).is_some_and(is_made) || (self.trusts_words && is_placeholder(value))
    }

    /// Gives a value a pseudonym, unless it has one.
    pub(super) fn pseudonym(&mut self, value: &str, instead: impl FnOnce(&mut Self) -> String) -> String {
        if let Some(place) = self.places.get(value) {
            return self.items[*place].instead.clone();
        }
        let instead = instead(self);
        self.add(Item {
            what: "a name with a pseudonym".to_owned(),
            value: value.to_owned(),
            instead: instead.clone(),
            given: true,
            whole_word: true,
        });
        instead
    }

    /// The next number of a kind, from 1 on.
    pub(super) fn number(&mut self, kind: &str) -> usize {
        let made = self.made.entry(kind.to_owned()).or_default();
        *made += 1;
        *made
    }

    pub(super) fn next_guid(&mut self) -> String {
        self.guids += 1;
        guid_placeholder(self.guids)
    }

    fn next(&mut self, what: &str) -> String {
        // Two names of one spelling share their numbers.
        let kind = placeholder(what, 0);
        let number = self.number(&kind);
        placeholder(what, number)
    }

    fn add(&mut self, item: Item) {
        self.places.insert(item.value.clone(), self.items.len());
        self.items.push(item);
    }

    /// What those are called that are too short to be looked for.
    pub(super) fn too_short(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|item| !item.whole_word && item.value.len() < SHORTEST).map(|item| item.what.as_str())
    }

    /// Those that are looked for.
    pub(super) fn wanted(self) -> Vec<Item> {
        self.items.into_iter().filter(|item| item.whole_word || item.value.len() >= SHORTEST).collect()
    }
}

fn replaced(text: &str, value: &str, instead: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in text.match_indices(value) {
        let after = at + value.len();
        let is_part = text[..at].ends_with(char::is_alphanumeric) || text[after..].starts_with(char::is_alphanumeric);
        if !is_part {
            replaced.push_str(&text[end..at]);
            replaced.push_str(instead);
            end = after;
        }
    }
    replaced.push_str(&text[end..]);
    replaced
}

/// Whether a text is a GUID and nothing else.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
