//! Everything that is wrong with a configuration, told at once and without its secrets.
//!
//! What is called from many places is kept out of line: the component has a limit of size.

use std::borrow::Cow;

use crate::contract::{Diagnostic, Level};

/// So many problems are told; of the rest only their number.
pub(super) const MAX_PROBLEMS: usize = 100;

/// What is wrong with a value: the end of a sentence that begins with the member's name, without the full stop; and
/// what to do.
#[derive(Debug)]
pub(super) struct Complaint {
    /// Such as "is empty".
    pub(super) predicate: Cow<'static, str>,
    /// A sentence.
    pub(super) hint: Cow<'static, str>,
}

impl Complaint {
    /// A complaint of these words.
    pub(super) fn new(predicate: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { predicate: predicate.into(), hint: hint.into() }
    }
}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Problems {
    list: Vec<Diagnostic>,
    untold: usize,
}

impl Problems {
    /// Adds what is wrong with the member at `pointer`; its code is derived from the pointer.
    pub(super) fn add(
        &mut self,
        pointer: &str,
        predicate: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) {
        self.complain(pointer, Complaint::new(predicate, hint));
    }

    /// Adds a complaint about the member at `pointer`.
    #[inline(never)]
    pub(super) fn complain(&mut self, pointer: &str, complaint: Complaint) {
        let (code, name) = code_and_name(pointer);
        let message = format!("`{name}` {}.", complaint.predicate);
        self.report(&code, Some(pointer.to_owned()), message, &complaint.hint);
    }

    /// Adds a problem in words of its own.
    #[inline(never)]
    pub(super) fn report(&mut self, code: &str, pointer: Option<String>, message: String, hint: &str) {
        if self.is_full() {
            self.untold += 1;
            return;
        }
        let (code, hint) = (code.to_owned(), Some(hint.to_owned()));
        self.list.push(Diagnostic { level: Level::Error, code, pointer, message, hint });
    }

    /// The value of a result, or its complaint added.
    pub(super) fn keep<T>(&mut self, pointer: &str, result: Result<T, Complaint>) -> Option<T> {
        result.map_err(|complaint| self.complain(pointer, complaint)).ok()
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further problems would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PROBLEMS
    }

    /// The problems, with these secrets blanked wherever they were repeated, as by one pasted into a second member.
    pub(super) fn finish(mut self, secrets: &[&str]) -> Vec<Diagnostic> {
        if self.untold > 0 {
            let message = format!("The configuration has {} more problems, which are not listed.", self.untold);
            self.untold = 0;
            self.list.truncate(MAX_PROBLEMS - 1);
            self.report("config.more", None, message, "Correct the listed ones first.");
        }
        // A shorter one would blank ordinary words.
        for secret in secrets.iter().filter(|secret| secret.len() >= 8) {
            for told in &mut self.list {
                for text in [Some(&mut told.message), told.hint.as_mut(), told.pointer.as_mut()].into_iter().flatten() {
                    if text.contains(*secret) {
                        *text = text.replace(*secret, "[redacted]");
                    }
                }
            }
        }
        self.list
    }
}

/// A value for a message, or only its length where it is long or odd enough to be a secret in the wrong place.
#[inline(never)]
pub(super) fn shown(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " :.,+-_/".contains(c);
    let of_a_time = |c: char| c.is_ascii_digit() || " :.,+-TZPWDHMS".contains(c);
    let count = value.chars().count();
    if (count <= 20 && value.chars().all(plain)) || (count <= 60 && value.chars().all(of_a_time)) {
        format!("\"{value}\"")
    } else {
        format!("a text of {count} characters")
    }
}

/// A name that was met, for a message: on one line, and at most 60 characters long.
#[inline(never)]
pub(super) fn shown_name(name: &str) -> String {
    name.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// One more step of a JSON Pointer. Source: RFC 6901, section 3.
#[inline(never)]
pub(super) fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// `/request/sinceTimeUtc` as the code `config.request.since-time-utc` and the name `request.sinceTimeUtc`. The index of a
/// list is in the name only: `machinegroups[2]`.
fn code_and_name(pointer: &str) -> (String, String) {
    let (mut code, mut name) = ("config".to_owned(), String::new());
    for step in pointer.split('/').skip(1) {
        if step.bytes().all(|b| b.is_ascii_digit()) {
            name = name + "[" + step + "]";
            continue;
        }
        if !name.is_empty() {
            name += ".";
        }
        name += step;
        code += ".";
        for c in step.chars() {
            if c.is_ascii_uppercase() && !code.ends_with('.') {
                code += "-";
            }
            code.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
        }
    }
    (code, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_becomes_a_code_and_a_name() {
        for (pointer, expected_code, expected_name) in [
            ("/tenant_id", "config.tenant-id", "tenant_id"),
            ("/request/sinceTimeUtc", "config.request.since-time-utc", "request.sinceTimeUtc"),
            (
                "/request/DeviceCreatedMachineTags/0",
                "config.request.device-created-machine-tags",
                "request.DeviceCreatedMachineTags[0]",
            ),
        ] {
            assert_eq!(code_and_name(pointer), (expected_code.to_owned(), expected_name.to_owned()));
        }
        assert_eq!(pointer("/a", "b/c~d"), "/a/b~1c~0d");
    }

    #[test]
    fn a_value_is_shown_only_where_it_is_short_and_plain() {
        assert_eq!(shown("eu-west"), "\"eu-west\"");
        assert_eq!(shown("2020-09-30T14:11:44.0779765+02:00x"), "a text of 34 characters");
        assert_eq!(shown("2020-13-30T14:11:44.0779765+02:00"), "\"2020-13-30T14:11:44.0779765+02:00\"");
        assert_eq!(shown("a~b"), "a text of 3 characters");
        assert_eq!(shown("line\nbreak"), "a text of 10 characters");
    }

    #[test]
    fn more_problems_than_a_person_reads_are_counted() {
        let mut problems = Problems::default();
        for _ in 0..MAX_PROBLEMS + 5 {
            problems.add("/limit", "is wrong", "Correct it.");
        }
        let told = problems.finish(&[]);
        assert_eq!(told.len(), MAX_PROBLEMS);
        assert!(told[MAX_PROBLEMS - 1].message.contains("5 more"), "{:?}", told[MAX_PROBLEMS - 1]);
    }

    #[test]
    fn a_secret_that_was_repeated_is_blanked() {
        let mut problems = Problems::default();
        problems.add("/region", "is \"hush-hush\"", "Not hush-hush.");
        let told = problems.finish(&["hush-hush"]);
        assert!(!format!("{told:?}").contains("hush"), "{told:?}");
    }
}
