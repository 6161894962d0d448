//! Small pieces of HTML.

use std::fmt;
use std::time::Duration;

use crate::report::seconds as shown_seconds;

/// A text as it stands between tags or in an attribute.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

/// A part that unfolds.
pub(super) fn unfolding(summary: &str, content: &str) -> String {
    format!("<details><summary>{summary}</summary>{content}</details>\n")
}

/// Text with its line breaks.
pub(super) fn pre(text: &str) -> String {
    format!("<pre>{}</pre>", Text(text))
}

/// A unified difference, in which every changed line is marked.
pub(super) fn difference(text: &str) -> String {
    let line = |line: &str| match line.as_bytes().first() {
        Some(b'+') => format!("<span class=\"added\">{}</span>\n", Text(line)),
        Some(b'-') => format!("<span class=\"removed\">{}</span>\n", Text(line)),
        _ => format!("{}\n", Text(line)),
    };
    format!("<pre>{}</pre>", text.lines().map(line).collect::<String>())
}

/// How long after the beginning, in a form that fits its length: `0.25 s`, `5 min 0 s`, `3 d 4 h`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{} s", shown_seconds(length)),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_html_is_escaped() {
        assert_eq!(
            Text("<b title=\"a&b\">'x'</b> é").to_string(),
            "&lt;b title=&quot;a&amp;b&quot;&gt;&#39;x&#39;&lt;/b&gt; é"
        );
    }

    #[test]
    fn a_length_has_the_units_that_fit_it() {
        let shown = |seconds: f64| span(Duration::from_secs_f64(seconds));
        assert_eq!(shown(0.0), "0 s");
        assert_eq!(shown(0.25), "0.25 s");
        assert_eq!(shown(300.0), "5 min 0 s");
        assert_eq!(shown(7_260.0), "2 h 1 min");
        assert_eq!(shown(273_600.0), "3 d 4 h");
    }

    #[test]
    fn a_changed_line_is_marked_and_its_text_escaped() {
        let shown = difference(" a\n-<b>\n+c");
        assert_eq!(
            shown,
            "<pre> a\n<span class=\"removed\">-&lt;b&gt;</span>\n<span class=\"added\">+c</span>\n</pre>"
        );
    }
}
