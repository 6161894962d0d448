//! The lines of checkpoints that the command keeps, and the words that their files are called by.

use serde_json::Value;
use source_host::{AccessPlan, Instant, Lineage};

use super::open::digest;

/// Which line of checkpoints a run has, and whether it has an end.
pub(crate) fn lineage(range: Option<(Instant, Instant)>, plan: &AccessPlan) -> (Lineage, bool) {
    if let Some((since, until)) = range {
        return (Lineage::Bounded(format!("range-{}-{}", stamp(since), stamp(until))), true);
    }
    let effective: Value = serde_json::from_str(&plan.effective_config).unwrap_or(Value::Null);
    match effective.get("request") {
        None | Some(Value::Null | Value::Bool(false)) => (Lineage::Running, false),
        Some(_) => (Lineage::Bounded(format!("request-{}", digest(&plan.effective_config))), true),
    }
}

/// The lineage that a word stands for, where it is one that was made here.
pub(crate) fn read(word: &str) -> Option<Lineage> {
    let is_ours = range(word).is_some()
        || word.strip_prefix("request-").is_some_and(|digest| {
            digest.len() == 16 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
    is_ours.then(|| Lineage::Bounded(word.to_owned()))
}

/// The lineage as a person calls it.
pub(crate) fn described(lineage: &Lineage) -> String {
    match lineage {
        Lineage::Running => "running".to_owned(),
        Lineage::Bounded(word) => match range(word) {
            Some((since, until)) => format!("range {since} to {until}"),
            None => word.replacen('-', " ", 1),
        },
    }
}

fn stamp(instant: Instant) -> String {
    match instant.nanoseconds {
        0 => instant.seconds.to_string(),
        nanoseconds => format!("{}.{nanoseconds:09}", instant.seconds),
    }
}

/// Seconds may be negative, so the hyphen in the middle is the first one after a digit.
fn range(word: &str) -> Option<(Instant, Instant)> {
    let stamps = word.strip_prefix("range-")?;
    let middle = stamps.bytes().zip(1..).find(|&(byte, _)| byte.is_ascii_digit()).map(|(_, after)| after)?;
    let middle = middle + stamps.get(middle..)?.find('-')?;
    Some((instant(stamps.get(..middle)?)?, instant(stamps.get(middle + 1..)?)?))
}

fn instant(stamp: &str) -> Option<Instant> {
    let (seconds, nanoseconds) = stamp.split_once('.').unwrap_or((stamp, "0"));
    let nanoseconds = nanoseconds.parse().ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    Some(Instant { seconds: seconds.parse().ok()?, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_which_range_it_is_of_and_foreign_words_say_nothing() {
        let range = |since, until| format!("range-{}-{}", stamp(since), stamp(until));
        let at = |seconds, nanoseconds| Instant { seconds, nanoseconds };
        for (since, until, described) in [
            (at(0, 0), at(86_400, 0), "range 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z"),
            (at(-2, 500), at(-1, 0), "range 1969-12-31T23:59:58.0000005Z to 1969-12-31T23:59:59Z"),
        ] {
            let word = range(since, until);
            let lineage = read(&word).unwrap();
            assert_eq!((&lineage, super::described(&lineage).as_str()), (&Lineage::Bounded(word), described));
        }
        for foreign in ["", "range-", "range-1", "range-a-b", "range-1-2-3", "request-12", "backup", "range--"] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }
}
