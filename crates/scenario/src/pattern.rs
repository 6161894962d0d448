//! A recorded value: exact, or a pattern for what depends on time.

use std::fmt;

use crate::node::Node;
use crate::problem::Problem;

/// What a value of a request must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// Any text of this form, in which each `*` stands for any number of characters.
    Glob(String),
    /// Nothing: the value must not be there.
    Absent,
}

impl Pattern {
    /// Whether `value` is what was recorded.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => text == value,
            Self::Glob(form) => glob(form.as_bytes(), value.as_bytes()),
            Self::Absent => false,
        }
    }

    /// The text of it, in which `*` stands for any characters where it is a pattern; empty for nothing.
    pub fn form(&self) -> String {
        match self {
            Self::Exact(text) | Self::Glob(text) => text.clone(),
            Self::Absent => String::new(),
        }
    }

    /// Reads `"text"`, `{"pattern": "te*"}` or, where a value may be absent, `null`.
    pub(crate) fn read(node: &Node<'_>, may_be_absent: bool) -> Result<Self, Problem> {
        if node.is_string() {
            return Ok(Self::Exact(node.string()?));
        }
        if node.is_null() && may_be_absent {
            return Ok(Self::Absent);
        }
        if node.is_object() {
            let object = node.object(&["pattern"])?;
            let form = object.need("pattern", "the text, with `*` for any characters")?;
            return Ok(Self::Glob(form.string()?));
        }
        Err(node.wrong_kind("a string or {\"pattern\": \"te*t\"}"))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "{text}"),
            Self::Glob(form) => write!(f, "{form} (a pattern)"),
            Self::Absent => f.write_str("nothing"),
        }
    }
}

/// Linear in the common case, and never exponential: only the last `*` is ever tried again.
fn glob(form: &[u8], value: &[u8]) -> bool {
    let (mut f, mut v) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while v < value.len() {
        if form.get(f) == Some(&b'*') {
            last_star = Some((f, v));
            f += 1;
        } else if form.get(f) == Some(&value[v]) {
            f += 1;
            v += 1;
        } else if let Some((star, from)) = last_star {
            last_star = Some((star, from + 1));
            f = star + 1;
            v = from + 1;
        } else {
            return false;
        }
    }
    form[f..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        let like = |form: &str, value: &str| Pattern::Glob(form.to_owned()).matches(value);
        assert!(like("2026-03-*Z", "2026-03-02T09:00:00Z"));
        assert!(like("*", ""));
        assert!(like("a*b*c", "a-b-b-c"));
        assert!(!like("a*b*c", "a-b-b-d"));
        assert!(!like("2026-03-*Z", "2026-03-02T09:00:00"));
        assert!(!like("a", "ab"));
    }
}
