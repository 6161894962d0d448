//! The mutants that are known to change nothing, each with the reason.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::trial::Outcome;

/// Where they are listed: a reason a line, and below it, indented, the names of the mutants that it holds for.
pub(crate) const LIST: &str = "crates/mutants/harmless.txt";

const INDENT: &str = "    ";

/// The names that are listed, and the reason of each.
#[derive(Debug, Default)]
pub(crate) struct Harmless(BTreeMap<String, String>);

impl Harmless {
    /// Reads the list. Empty lines and those that begin with `#` say nothing.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let mut listed = BTreeMap::new();
        let mut reason = None;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(name) = line.strip_prefix(INDENT) else {
                reason = Some(line);
                continue;
            };
            let Some(reason) = reason else { bail!("{LIST}:{number}: a name stands before any reason") };
            let before = listed.insert(name.to_owned(), reason.to_owned());
            ensure!(before.is_none(), "{LIST}:{number}: `{name}` is listed twice");
        }
        Ok(Self(listed))
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Those of these files that are listed, and that no change of the source has made.
    pub(crate) fn unknown<'a>(&'a self, files: &'a [String], made: &BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
        let is_of_files =
            |name: &str| files.iter().any(|file| name.strip_prefix(file).is_some_and(|rest| rest.starts_with(':')));
        self.0.keys().map(String::as_str).filter(move |name| is_of_files(name) && !made.contains(name))
    }

    /// What is wrong with the outcome of a mutant; none where it is as it should be.
    pub(crate) fn objection(&self, name: &str, outcome: &Outcome) -> Option<String> {
        match (self.0.get(name), outcome) {
            (None, Outcome::Survived) => Some(format!("{name}\n    no test notices it")),
            (Some(reason), Outcome::Failed(_) | Outcome::TimedOut(_)) => {
                Some(format!("{name}\n    {outcome}, and {LIST} says: {reason}"))
            }
            (None, _) | (Some(_), Outcome::Survived) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# says nothing\n\nIt is the same.\n    a.rs: f: `1` as `2`\n    b.rs: f: `1` as `0`\n";

    #[test]
    fn a_mutant_that_nothing_notices_is_listed_and_a_listed_one_is_noticed_by_nothing() {
        let list = Harmless::read(TEXT).unwrap();
        let (listed, other) = ("a.rs: f: `1` as `2`", "a.rs: f: `1` as `0`");
        let noticed = Outcome::Failed("core".to_owned());
        assert_eq!(list.objection(listed, &Outcome::Survived), None);
        assert_eq!(list.objection(other, &noticed), None);
        assert!(list.objection(other, &Outcome::Survived).unwrap().ends_with("no test notices it"));
        for outcome in [noticed, Outcome::TimedOut("core".to_owned())] {
            assert!(list.objection(listed, &outcome).unwrap().ends_with("says: It is the same."), "{outcome}");
        }
        assert!(list.holds(listed) && !list.holds(other));
    }

    #[test]
    fn a_name_that_no_change_has_is_unknown_in_the_files_that_were_looked_at() {
        let list = Harmless::read(TEXT).unwrap();
        let unknown = |files: &[&str], made: &[&str]| {
            let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
            list.unknown(&files, &made.iter().copied().collect()).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(unknown(&["a.rs"], &["a.rs: f: `1` as `2`"]), [""; 0]);
        assert_eq!(unknown(&["a.rs"], &["a.rs: f: `1` as `0`"]), ["a.rs: f: `1` as `2`"]);
        assert_eq!(unknown(&["a"], &[]), [""; 0]);
    }

    #[test]
    fn a_list_that_gives_no_reason_or_two_is_none() {
        for (text, why) in [("    a\n", ":1: a name"), ("One.\n    a\nTwo.\n    a\n", ":4: `a` is listed twice")] {
            assert!(Harmless::read(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
