//! What differs between two texts, for a person.

use std::fmt::Write as _;

use similar::TextDiff;

/// So many lines of a difference are shown; more would hide the first.
const SHOWN_LINES: usize = 60;

/// A unified difference with three lines of context; `-` is expected, `+` is what came.
pub(crate) fn lines(expected: &str, got: &str) -> String {
    let diff = TextDiff::from_lines(expected, got);
    let text = diff.unified_diff().context_radius(3).missing_newline_hint(false).to_string();
    let mut shown: String = text.lines().take(SHOWN_LINES).fold(String::new(), |mut shown, line| {
        let _ = writeln!(shown, "{}", line.trim_end());
        shown
    });
    let more = text.lines().count().saturating_sub(SHOWN_LINES);
    if more > 0 {
        let _ = writeln!(shown, "... and {more} more lines");
    }
    shown.trim_end().to_owned()
}

/// The difference of two NDJSON texts, member by member. Where only the order or the spelling of members differs, the
/// lines themselves are shown.
pub(crate) fn ndjson(expected: &str, got: &str) -> String {
    let (readable_expected, readable_got) = (readable(expected.lines()), readable(got.lines()));
    if readable_expected == readable_got { lines(expected, got) } else { lines(&readable_expected, &readable_got) }
}

/// Lines of JSON with a member a line.
fn readable<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let pretty = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => format!("{value:#}\n"),
        Err(_) => format!("{line}\n"),
    };
    lines.into_iter().map(pretty).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_member_is_shown_between_its_neighbours() {
        let diff = ndjson("{\"a\":1,\"b\":2,\"c\":3}\n", "{\"a\":1,\"b\":9,\"c\":3}\n");
        assert_eq!(diff, "@@ -1,5 +1,5 @@\n {\n   \"a\": 1,\n-  \"b\": 2,\n+  \"b\": 9,\n   \"c\": 3\n }");
    }

    #[test]
    fn members_in_another_order_are_a_difference_of_the_lines() {
        let diff = ndjson("{\"a\":1,\"b\":2}\n", "{\"b\":2,\"a\":1}\n");
        assert_eq!(diff, "@@ -1 +1 @@\n-{\"a\":1,\"b\":2}\n+{\"b\":2,\"a\":1}");
    }

    #[test]
    fn a_long_difference_is_cut_and_says_so() {
        let many: String = (0..100).map(|number| format!("{number}\n")).collect();
        let diff = lines("", &many);
        assert_eq!(diff.lines().count(), SHOWN_LINES + 1);
        assert!(diff.ends_with("... and 41 more lines"), "{diff}");
    }
}
