//! An answer that is a list of rows of a range of time, and the part of it that lies in a narrower one.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::difference::{Difference, read_time};
use crate::interaction::{Answer, Interaction};
use crate::node::Node;
use crate::problem::Problem;
use crate::response::Response;

/// Where a request says for which range of time it asks, and where a row says when it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimeRange {
    /// The member of the query that holds the beginning.
    pub since: String,
    /// The member of the query that holds the end.
    pub until: String,
    /// The member of each row that lies between them, both included.
    pub stamp: String,
}

/// A beginning and an end.
type Bounds = (DateTime<Utc>, DateTime<Utc>);

impl TimeRange {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object = node.object(&["since", "until", "stamp"])?;
        let name = |name, meaning| object.need(name, meaning)?.sentence();
        Ok(Self {
            since: name("since", "the member of the query that holds the beginning")?,
            until: name("until", "the member of the query that holds the end")?,
            stamp: name("stamp", "the member of each row that says when it was")?,
        })
    }

    /// What is asked where nothing but the range differs: what was recorded, and what is asked now.
    fn bounds(&self, interaction: &Interaction, differences: &[Difference]) -> Option<(Bounds, Bounds)> {
        let [since, until] = [&self.since, &self.until].map(|name| format!("query {name}"));
        if !differences.iter().all(|difference| difference.part == since || difference.part == until) {
            return None;
        }
        let recorded = |name: &str| {
            let (_, pattern) = interaction.request.query.iter().find(|(known, _)| known == name)?;
            read_time(&pattern.form())
        };
        let asked = |part: &str, recorded: DateTime<Utc>| {
            let differs = differences.iter().find(|difference| difference.part == part);
            differs.map_or(Some(recorded), |difference| read_time(difference.got.as_deref()?))
        };
        let was = (recorded(&self.since)?, recorded(&self.until)?);
        Some((was, (asked(&since, was.0)?, asked(&until, was.1)?)))
    }

    /// The rows of an answer that lie in a range, as they are written.
    fn rows(&self, response: &Response, (since, until): Bounds) -> Option<Vec<u8>> {
        let rows: Vec<&RawValue> = serde_json::from_slice(&response.body).ok()?;
        let is_within = |row: &&&RawValue| {
            let row: serde_json::Value = serde_json::from_str(row.get()).unwrap_or_default();
            row[&self.stamp].as_str().and_then(read_time).is_some_and(|at| since <= at && at <= until)
        };
        let kept: Vec<&str> = rows.iter().filter(is_within).map(|row| row.get()).collect();
        Some(format!("[{}]", kept.join(",")).into_bytes())
    }
}

/// The interaction with the rows of a narrower range, where nothing else differs. `beyond` where the range may also reach
/// beyond the recorded one, of which there is nothing.
pub(crate) fn narrower(interaction: &Interaction, differences: &[Difference], beyond: bool) -> Option<Interaction> {
    let range = interaction.range.as_ref()?;
    let (recorded, asked) = range.bounds(interaction, differences)?;
    if !beyond && (asked.0 < recorded.0 || recorded.1 < asked.1) {
        return None;
    }
    let Answer::Response(response) = &interaction.answer else { return None };
    let mut response = response.clone();
    response.body = range.rows(&response, asked)?;
    response.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    Some(Interaction { answer: Answer::Response(response), ..interaction.clone() })
}

/// Checks that a range can be applied.
pub(crate) fn check(node: &Node<'_>, interaction: &Interaction) -> Result<(), Problem> {
    let Some(range) = &interaction.range else { return Ok(()) };
    for name in [&range.since, &range.until] {
        if !interaction.request.query.iter().any(|(known, _)| known == name) {
            return Err(node.problem(format!("the query of the request has no `{name}`"), "name a member of the query"));
        }
    }
    let is_list = |body: &[u8]| Vec::<&RawValue>::deserialize(&mut serde_json::Deserializer::from_slice(body)).is_ok();
    match &interaction.answer {
        Answer::Response(response) if is_list(&response.body) => Ok(()),
        _ => {
            Err(node.problem("the answer is no list of rows in JSON", "leave the range out, or write a list as `json`"))
        }
    }
}
