//! HAR 1.2, as far as it is read and written.
//!
//! Source: HTTP Archive (HAR) format 1.2, <http://www.softwareishard.com/blog/har-12-spec/>. What it has no place for stands
//! in members that begin with `_`, as it says.

use scenario::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Har {
    pub(super) log: Log,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) creator: Creator,
    pub(super) entries: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    /// The other files of a scenario, where it came from one.
    #[serde(default, rename = "_scenario", skip_serializing_if = "Option::is_none")]
    pub(super) scenario: Option<Files>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Creator {
    pub(super) name: String,
    pub(super) version: String,
}

/// Texts of files.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Files {
    pub(super) settings: String,
    pub(super) config: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) started_date_time: String,
    #[serde(default)]
    pub(super) time: f64,
    pub(super) request: Request,
    pub(super) response: Response,
    #[serde(default)]
    pub(super) cache: Value,
    #[serde(default)]
    pub(super) timings: Timings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(default, rename = "_resourceType", skip_serializing)]
    pub(super) resource_type: Option<String>,
    #[serde(default, rename = "_scenario", skip_serializing_if = "Option::is_none")]
    pub(super) scenario: Option<Extra>,
}

/// What a scenario says of an interaction, and HAR does not.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Extra {
    pub(super) why: String,
    /// Entries with the same number may come in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) any_order: Option<usize>,
    /// A number or `any`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) range: Option<[String; 3]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chunks: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stall: Option<usize>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default)]
    pub(super) http_version: String,
    #[serde(default)]
    pub(super) cookies: Vec<Value>,
    #[serde(default)]
    pub(super) headers: Vec<Pair>,
    #[serde(default)]
    pub(super) query_string: Vec<Pair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) post_data: Option<PostData>,
    #[serde(default = "unknown")]
    pub(super) headers_size: i64,
    #[serde(default = "unknown")]
    pub(super) body_size: i64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PostData {
    pub(super) mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) params: Option<Vec<Pair>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// `base64`, where the text is that of bytes.
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<String>,
    /// `form`, `json`, `text` or `base64`: what a scenario compares it as.
    #[serde(rename = "_kind", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// JSON Pointers of texts that are patterns.
    #[serde(rename = "_patterns", skip_serializing_if = "Vec::is_empty")]
    pub(super) patterns: Vec<Pair>,
    /// Whether the whole text is a pattern.
    #[serde(rename = "_pattern", skip_serializing_if = "is_false")]
    pub(super) pattern: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) status_text: String,
    #[serde(default)]
    pub(super) http_version: String,
    #[serde(default)]
    pub(super) cookies: Vec<Value>,
    #[serde(default)]
    pub(super) headers: Vec<Pair>,
    #[serde(default)]
    pub(super) content: Content,
    #[serde(default, rename = "redirectURL")]
    pub(super) redirect_url: String,
    #[serde(default = "unknown")]
    pub(super) headers_size: i64,
    #[serde(default = "unknown")]
    pub(super) body_size: i64,
    /// Why there is no answer.
    #[serde(default, rename = "_error", skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Content {
    pub(super) size: i64,
    pub(super) mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<String>,
}

/// Milliseconds; -1 for what does not apply.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Timings {
    pub(super) send: f64,
    pub(super) wait: f64,
    pub(super) receive: f64,
}

/// A name with a value.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Pair {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
    /// Whether the value is a pattern.
    #[serde(default, rename = "_pattern", skip_serializing_if = "is_false")]
    pub(super) pattern: bool,
    /// Whether it must not be there.
    #[serde(default, rename = "_absent", skip_serializing_if = "is_false")]
    pub(super) absent: bool,
}

impl Pair {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), pattern: false, absent: false }
    }

    pub(super) fn of(name: &str, pattern: &Pattern) -> Self {
        Self {
            pattern: matches!(pattern, Pattern::Glob(_)),
            absent: *pattern == Pattern::Absent,
            ..Self::new(name, &pattern.form())
        }
    }

    pub(super) fn into_pattern(self) -> (String, Pattern) {
        let pattern = match self {
            Self { absent: true, .. } => Pattern::Absent,
            Self { pattern: true, value, .. } => Pattern::Glob(value),
            Self { value, .. } => Pattern::Exact(value),
        };
        (self.name, pattern)
    }
}

fn unknown() -> i64 {
    -1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}
