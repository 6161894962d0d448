//! One request that was recorded, and what came back.

use crate::failure::RecordedFailure;
use crate::node::Node;
use crate::pattern::Pattern;
use crate::problem::Problem;
use crate::range::{self, TimeRange};
use crate::request::Address;
use crate::request_body::RecordedBody;
use crate::response::Response;

/// One request and its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interaction {
    /// Its place in `traffic.json`, from 1 on, groups counted through.
    pub number: usize,
    /// The line on which it begins.
    pub line: usize,
    /// What it is there for.
    pub why: String,
    /// The request.
    pub request: RecordedRequest,
    /// What comes back.
    pub answer: Answer,
    /// How often it may be used.
    pub times: Times,
    /// Where it asks for a range of time, of which a part may be asked for where the order does not matter.
    pub range: Option<TimeRange>,
}

/// How often an interaction is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Times {
    /// Exactly so often; less is an interaction that was not used.
    Exactly(u32),
    /// Any number of times, or never.
    Any,
}

/// What comes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// An answer.
    Response(Response),
    /// None: the connection fails.
    Failure(RecordedFailure),
}

/// The parts of a request that matter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordedRequest {
    /// The method, in capitals.
    pub method: String,
    /// Scheme, host and port, the port left out where it is the scheme's own.
    pub origin: String,
    /// The path as it is written.
    pub path: String,
    /// The query, decoded; every member of a request must be here and the other way round, in any order.
    pub query: Vec<(String, Pattern)>,
    /// The headers that matter, in lower case; a request may have others.
    pub headers: Vec<(String, Pattern)>,
    /// The body.
    pub body: RecordedBody,
}

impl RecordedRequest {
    /// The request in one line: method and URL without the query.
    pub fn line(&self) -> String {
        format!("{} {}{}", self.method, self.origin, self.path)
    }

    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        let object =
            node.object(&["method", "url", "query", "headers", "form", "json", "patterns", "text", "base64"])?;
        let method = object.need("method", "the HTTP method, such as \"GET\"")?;
        let name = method.string()?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(method.problem(format!("`{name}` is no HTTP method"), "write it in capitals, such as GET"));
        }
        let url = object.need("url", "the whole URL")?;
        let text = url.string()?;
        let Some(address) = Address::parse(&text) else {
            return Err(url.problem(format!("`{text}` is no absolute URL"), "write one such as https://host/path"));
        };
        let query = match object.get("query") {
            None => address.query.into_iter().map(|(name, value)| (name, Pattern::Exact(value))).collect(),
            Some(node) if address.query.is_empty() => read_values(node, false)?,
            Some(node) => {
                let message = "the query stands both in the URL and here";
                return Err(node.problem(message, "write it once; here it may hold patterns, and is decoded"));
            }
        };
        let headers = object.read("headers", |node| read_values(node, true))?.unwrap_or_default();
        let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let body = RecordedBody::read(&object)?;
        Ok(Self { method: name, origin: address.origin, path: address.path, query, headers, body })
    }
}

impl Interaction {
    pub(crate) fn read(node: &Node<'_>, number: usize) -> Result<Self, Problem> {
        let object = node.object(&["why", "request", "response", "fail", "times", "range"])?;
        let why = object.need("why", "one line on what this interaction is there for")?.sentence()?;
        let request = RecordedRequest::read(object.need("request", "what is asked")?)?;
        let answer = match object.at_most_one(&["response", "fail"])? {
            Some(("response", node)) => Answer::Response(Response::read(node)?),
            Some((_, node)) => Answer::Failure(RecordedFailure::read(node)?),
            None => {
                let hint = "add `response` with a `status`, or `fail` with how the connection fails";
                return Err(node.problem("nothing says what comes back", hint));
            }
        };
        let times = object.read("times", Times::read)?.unwrap_or(Times::Exactly(1));
        let range = object.read("range", TimeRange::read)?;
        let interaction = Self { number, line: node.line(), why, request, answer, times, range };
        range::check(object.get("range").unwrap_or(node), &interaction)?;
        Ok(interaction)
    }
}

impl Times {
    fn read(node: &Node<'_>) -> Result<Self, Problem> {
        if node.is_string() && node.string()? == "any" {
            return Ok(Self::Any);
        }
        match node.integer().map(u32::try_from) {
            Ok(Ok(times)) if times > 0 => Ok(Self::Exactly(times)),
            _ => Err(node.problem(format!("{} is no number of times", node.raw()), "write 1 or more, or \"any\"")),
        }
    }
}

/// Names with a value each, or with a list of values for a name that comes more than once.
pub(crate) fn read_values(node: &Node<'_>, may_be_absent: bool) -> Result<Vec<(String, Pattern)>, Problem> {
    let mut values = Vec::new();
    for (name, node) in node.members()? {
        if node.is_array() {
            for item in node.array()? {
                values.push((name.clone(), Pattern::read(&item, false)?));
            }
        } else {
            values.push((name, Pattern::read(&node, may_be_absent)?));
        }
    }
    Ok(values)
}
