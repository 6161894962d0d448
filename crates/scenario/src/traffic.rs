//! `traffic.json`: everything that the services are asked and answer, in order.

use std::path::Path;
use std::sync::Arc;

use crate::interaction::Interaction;
use crate::node::{Document, Node};
use crate::problem::Problem;

/// The interactions of a scenario.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// One after the other.
    pub groups: Vec<Group>,
}

/// Interactions whose order among themselves does not matter; most groups hold a single one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// At least one.
    pub interactions: Vec<Arc<Interaction>>,
}

impl Traffic {
    /// Every interaction, in the order in which it is written.
    pub fn interactions(&self) -> impl Iterator<Item = &Arc<Interaction>> {
        self.groups.iter().flat_map(|group| &group.interactions)
    }

    /// The same traffic as if it had all been recorded at one origin, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn at_origin(&self, origin: &str) -> Self {
        self.changed(|interaction| origin.clone_into(&mut interaction.request.origin))
    }

    /// The same traffic with a change of every interaction.
    #[must_use]
    pub fn changed(&self, change: impl Fn(&mut Interaction)) -> Self {
        let mut traffic = self.clone();
        for interaction in traffic.groups.iter_mut().flat_map(|group| &mut group.interactions) {
            change(Arc::make_mut(interaction));
        }
        traffic
    }

    /// Reads the text of a `traffic.json`. Body files are looked for beside `file`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problem> {
        Self::read(&Document::parse(file, text.to_owned())?)
    }

    pub(crate) fn read(document: &Document) -> Result<Self, Problem> {
        let root = document.root().object(&["interactions"])?;
        let list = root.need("interactions", "the list of requests and their answers")?;
        let mut traffic = Self::default();
        let mut number = 1;
        for node in list.array()? {
            let group = read_group(&node, number)?;
            number += group.interactions.len();
            traffic.groups.push(group);
        }
        Ok(traffic)
    }
}

fn read_group(node: &Node<'_>, first_number: usize) -> Result<Group, Problem> {
    let in_any_order = node.is_object() && node.members()?.iter().any(|(name, _)| name == "any-order");
    if !in_any_order {
        return Ok(Group { interactions: vec![Arc::new(Interaction::read(node, first_number)?)] });
    }
    let object = node.object(&["any-order"])?;
    let list = object.need("any-order", "a list of interactions")?;
    let interactions = list
        .array()?
        .iter()
        .enumerate()
        .map(|(index, node)| Interaction::read(node, first_number + index).map(Arc::new))
        .collect::<Result<Vec<_>, _>>()?;
    if interactions.is_empty() {
        return Err(list.problem("the group is empty", "add interactions to it, or remove it"));
    }
    Ok(Group { interactions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interaction::Answer;

    fn parse(text: &str) -> Result<Traffic, String> {
        Traffic::parse(Path::new("traffic.json"), text).map_err(|problem| problem.to_string())
    }

    fn one(request: &str, rest: &str) -> String {
        format!(r#"{{"interactions": [{{"why": "it is asked", "request": {request}, {rest}}}]}}"#)
    }

    const REQUEST: &str = r#"{"method": "GET", "url": "https://api.example/a"}"#;

    #[test]
    fn a_json_body_keeps_every_byte_that_is_written() {
        let body = "[\n  {\"b\" : 1.50,\"a\":\"\\u00e9\"}\n ]";
        let traffic = parse(&one(REQUEST, &format!(r#""response": {{"status": 200, "json":  {body}  }}"#))).unwrap();
        let Answer::Response(response) = &traffic.groups[0].interactions[0].answer else { panic!("no response") };
        assert_eq!(String::from_utf8_lossy(&response.body), body);
    }

    #[test]
    fn what_is_wrong_is_named_with_line_pointer_and_what_to_do() {
        let typo = one(r#"{"methd": "GET", "url": "https://api.example/a"}"#, r#""response": {"status": 200}"#);
        assert_eq!(
            parse(&typo).unwrap_err(),
            "traffic.json:1: /interactions/0/request/methd: `methd` is not known here\n  hint: did you mean `method`? \
             Known here are `method`, `url`, `query`, `headers`, `form`, `json`, \
             `patterns`, `text`, `base64`"
        );
        assert_eq!(
            parse("{\n\"interactions\": [\n{\"why\": 7}]}").unwrap_err(),
            "traffic.json:3: /interactions/0/why: this is `7`, and a string is needed\n  hint: write a string"
        );
        assert_eq!(
            parse("{\"interactions\": [\n}").unwrap_err(),
            "traffic.json:2: it is not valid JSON: expected value at column 1\n  hint: look at that line and the one \
             before it: a comma, a quote or a bracket is missing or too many"
        );
    }

    #[test]
    fn every_wrong_member_is_refused() {
        for (rest, message) in [
            (r#""times": 0"#, "nothing says what comes back"),
            (r#""response": {"status": 200}, "times": 0"#, "0 is no number of times"),
            (r#""response": {"status": 99}"#, "99 is no final HTTP status"),
            (r#""response": {"status": 200, "text": "a", "json": 1}"#, "`json` and `text` exclude each other"),
            (r#""response": {"status": 200, "text": "a", "cut": 2}"#, "byte 2 is beyond the end"),
            (r#""response": {"status": 200, "file": "../a"}"#, "not inside the folder"),
            (r#""response": {"status": 200, "latency": "5s"}"#, "`5s` is no duration"),
            (r#""response": {"status": 200, "chunks": 0}"#, "a chunk of 0 bytes"),
            (r#""response": {"status": 200, "headers": {"a": "b\nc"}}"#, "cannot hold line breaks"),
            (
                r#""fail": "dns", "range": {"since": "a", "until": "b", "stamp": "c"}"#,
                "the query of the request has no `a`",
            ),
            (r#""fail": "dns", "range": {"since": "a", "until": "b"}"#, "`stamp` is missing"),
            (r#""fail": "bored""#, "`bored` is no way for a connection to fail\n  hint: write one of dns, refused"),
            (r#""fail": "connection-refusd""#, "hint: did you mean `connection-refused`?"),
            (r#""response": {"status": 200, "text": "a", "coding": "gzp"}"#, "hint: did you mean `gzip`?"),
            (r#""response": {"status": 200, "text": "a", "pause": 1}"#, "this is `1`, and a string is needed"),
            (r#""fail": "dns", "response": {"status": 200}"#, "`response` and `fail` exclude each other"),
            (r#""fail": "dns", "why": "again""#, "`why` is there twice"),
        ] {
            let error = parse(&one(REQUEST, rest)).expect_err(rest);
            assert!(error.contains(message), "{rest}: {error}");
        }
    }

    #[test]
    fn a_query_stands_in_one_place() {
        let request = r#"{"method": "GET", "url": "https://api.example/a?b=1", "query": {"c": "2"}}"#;
        let error = parse(&one(request, r#""fail": "dns""#)).unwrap_err();
        assert!(error.contains("the query stands both in the URL and here"), "{error}");
    }
}
