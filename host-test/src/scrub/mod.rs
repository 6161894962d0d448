//! Takes secrets out of what was recorded, before anything of it is written.
//!
//! In two steps. First everything that is a secret by the name that it stands under, or by its looks, is replaced where it
//! stands ([`named`]) and learnt. Then everything is searched for whatever was learnt, in every encoding ([`sweep`]). The
//! same value gets the same placeholder everywhere, so that the recording replays.

mod base64;
mod json;
mod known;
mod link;
mod named;
mod names;
mod pseudonyms;
mod sweep;
mod swept;
mod token;
mod view;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use scenario::{Interaction, Traffic, suspicions};
use serde_json::Value;
use source_host::SecretValue;

use known::Known;
use names::Names;
use sweep::Sweep;

/// What is replaced beyond what is a secret by its name or its looks.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Names of headers, of members of forms, queries, links and JSON, and of cookies, whose values are secrets. Case, `-`
    /// and `_` do not matter.
    pub names: Vec<String>,
    /// Values that are secrets, each with what its placeholder is called after.
    pub values: Vec<(String, SecretValue)>,
    /// Whether GUIDs, hosts, users, mail and IP addresses get pseudonyms. The hosts that requests go to keep their names.
    pub pseudonyms: bool,
}

/// What was recorded, without its secrets.
pub(crate) struct Scrubbed {
    /// What the source gets, as JSON text.
    pub(crate) config: String,
    pub(crate) traffic: Traffic,
    /// What is said about it.
    pub(crate) notes: Vec<String>,
    sweep: Sweep,
}

/// A configuration with its secrets, and the JSON Pointers of those that are known to be.
pub(crate) struct RawConfig {
    pub(crate) value: Value,
    pub(crate) secrets: Vec<String>,
}

/// Where traffic comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// A service or a foreign file, whose secrets are real whatever they are called.
    Foreign,
    /// A scenario, whose invented secrets say that they are.
    Scenario,
}

/// Takes the secrets out of a configuration and of traffic.
pub(crate) fn scrub(config: RawConfig, traffic: Traffic, redaction: &Redaction, origin: Origin) -> Scrubbed {
    let known = Known::new(origin == Origin::Scenario);
    let mut scrubber = Scrubber { names: Names::new(&redaction.names), known };
    for (name, value) in &redaction.values {
        scrubber.known.give(name, value.expose());
    }
    let RawConfig { value: mut config, secrets } = config;
    scrubber.config(&mut config, &secrets);
    let mut interactions: Vec<Vec<Interaction>> = traffic
        .groups
        .into_iter()
        .map(|group| group.interactions.into_iter().map(Arc::unwrap_or_clone).collect())
        .collect();
    interactions.iter_mut().flatten().for_each(|interaction| scrubber.interaction(interaction));
    if redaction.pseudonyms {
        pseudonyms::collect(&config, interactions.iter().flatten(), &mut scrubber.known);
    }
    let notes = scrubber.known.too_short().map(|what| {
        format!(
            "a value of `{what}` is shorter than {} characters: it is replaced under its name only",
            known::SHORTEST
        )
    });
    let notes = notes.collect();
    let sweep = Sweep::new(scrubber.known);
    let config = sweep.json(&format!("{config:#}\n"));
    interactions.iter_mut().flatten().for_each(|interaction| swept::interaction(&sweep, interaction));
    let groups = interactions
        .into_iter()
        .map(|group| scenario::Group { interactions: group.into_iter().map(Arc::new).collect() });
    Scrubbed { config, traffic: Traffic { groups: groups.collect() }, notes, sweep }
}

impl Scrubbed {
    /// A text without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        self.sweep.text(text).unwrap_or_else(|| text.to_owned())
    }

    /// Which secret would still be shown, in any encoding, by the name that it was learnt under.
    fn leak(&self, bytes: &[u8]) -> Option<String> {
        self.sweep.finds(bytes)
    }

    /// The first of these files that would still show a secret, or what looks like one, and which: by the name that it was
    /// learnt under, or by its place and its looks.
    pub(crate) fn leaking(&self, files: &[(String, Vec<u8>)]) -> Option<(String, String)> {
        files.iter().find_map(|(name, bytes)| {
            let looks = || {
                let problem = suspicions(Path::new(name), std::str::from_utf8(bytes).ok()?).into_iter().next()?;
                Some(format!("{}: {}", problem.pointer, problem.message))
            };
            Some((name.clone(), self.leak(bytes).or_else(looks)?))
        })
    }
}

/// Replaces what is a secret where it stands, and learns it.
struct Scrubber {
    names: Names,
    known: Known,
}
