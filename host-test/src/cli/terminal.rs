//! What a terminal gets and a pipe does not: colours, and at the bottom one line that is redrawn.

use std::io::{self, IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::finding::Finding;

/// Whether the last line of the terminal is drawn, and has to go before anything is written below it.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// Clears the line where the cursor is.
const ERASE: &str = "\r\x1b[2K";

/// Draws the last line of a terminal anew; an empty one goes. Nothing is said to anybody else.
pub(super) fn draw(line: &str) {
    if line.is_empty() {
        clear();
    } else if io::stderr().is_terminal() {
        DRAWN.store(true, Ordering::Relaxed);
        // A line that is too long is cut off, and not wrapped: a second row could not be cleared.
        let _nobody_watches = write!(io::stderr().lock(), "{ERASE}\x1b[?7l{line}\x1b[?7h");
    }
}

/// Makes room for what is written.
pub(super) fn clear() {
    if DRAWN.swap(false, Ordering::Relaxed) {
        let _nobody_watches = write!(io::stderr().lock(), "{ERASE}");
    }
}

/// How words look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    colour: bool,
}

impl Paint {
    /// Colours for a terminal, unless `NO_COLOR` says otherwise.
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: stream.is_terminal() && !is_unwanted }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.painted("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.painted("32", text)
    }

    /// A finding, with the two sides of a difference told apart.
    pub(super) fn finding(self, finding: &Finding) -> String {
        let text = finding.to_string();
        if !matches!(finding, Finding::Different { .. } | Finding::Invented { .. }) {
            return text;
        }
        let line = |line: &str| match line.as_bytes().first() {
            Some(b'-') => self.red(line),
            Some(b'+') => self.green(line),
            Some(b'@') => self.painted("36", line),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    fn painted(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_sides_of_a_difference_have_colours_and_its_context_has_none() {
        let finding = Finding::Different { file: "expected.json", diff: "@@ -1 +1 @@\n a\n-b\n+c".to_owned() };
        assert_eq!(
            Paint { colour: true }.finding(&finding),
            "expected.json says something else (- expected, + now):\n\u{1b}[36m@@ -1 +1 @@\u{1b}[0m\n a\n\
             \u{1b}[31m-b\u{1b}[0m\n\u{1b}[32m+c\u{1b}[0m"
        );
        assert_eq!(Paint { colour: false }.finding(&finding), finding.to_string());
    }
}
