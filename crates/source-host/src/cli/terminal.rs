//! Standard error: log lines, reports, and at the bottom of a terminal one line that is redrawn.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// What stands in the last line. Standard error is one for the process, and so is this.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Clears the line where the cursor is.
const ERASE: &str = "\r\x1b[2K";

/// Standard error, for whoever writes whole lines.
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.write_all(lines)?;
        Ok(lines.len())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stderr = io::stderr().lock();
        if last.is_empty() {
            return stderr.write_all(lines);
        }
        stderr.write_all(&[ERASE.as_bytes(), lines, drawn(&last).as_bytes()].concat())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Draws the last line anew; nothing clears it. Only for a terminal.
pub(crate) fn draw(line: &str) {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if *last == line {
        return;
    }
    line.clone_into(&mut last);
    // Where nobody watches there is nobody to tell.
    let _nobody_watches = write!(io::stderr().lock(), "{ERASE}{}", drawn(&last));
}

/// A line that is longer than the terminal is wide is cut by it, and not wrapped: a second row could not be cleared.
fn drawn(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("\x1b[?7l{line}\x1b[?7h") }
}
