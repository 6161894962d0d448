//! How an error looks to a person: what, why, and what to do next.

use std::fmt::{self, Display};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use serde_json::json;
use source_host::{
    CallError, Denial, Diagnostic, Fault, Instant, LoadError, OpenError, ProxyError, RunError, SinkError, StateError,
    TlsError,
};

use super::terminal::Stderr;

/// So much of what a server says is shown, in characters.
const LONGEST_REASON: usize = 300;

/// An error as a person sees it, with the exit status that it makes.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    status: u8,
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
    /// Others that came with it.
    more: Vec<Report>,
}

impl Report {
    /// Exit status 1.
    pub(crate) fn failed(what: impl Display) -> Self {
        Self { status: 1, what: what.to_string(), causes: Vec::new(), hint: None, more: Vec::new() }
    }

    /// Exit status 2: the usage or the configuration is wrong.
    pub(crate) fn wrong(what: impl Display) -> Self {
        Self { status: 2, ..Self::failed(what) }
    }

    /// Exit status 3: the service refused the credentials.
    pub(crate) fn refused(what: impl Display) -> Self {
        Self { status: 3, ..Self::failed(what) }
    }

    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// One report of several; the first one's status counts.
    pub(crate) fn all(reports: Vec<Self>) -> Result<(), Self> {
        let mut reports = reports.into_iter();
        let Some(mut first) = reports.next() else { return Ok(()) };
        first.more.extend(reports);
        Err(first)
    }

    /// The same of a source among others.
    pub(crate) fn of(mut self, source: &str) -> Self {
        self.what = format!("source `{source}`: {}", self.what);
        self
    }

    /// The same of a sink.
    pub(crate) fn of_sink(mut self, sink: &str) -> Self {
        self.what = format!("sink `{sink}`: {}", self.what);
        self
    }

    /// Prints it to standard error and turns into the exit status.
    pub(crate) fn print(&self) -> ExitCode {
        self.tell();
        ExitCode::from(self.status)
    }

    /// Prints it to standard error, in the form that logs have, unless that was done.
    pub(crate) fn tell(&self) {
        if self.what.is_empty() {
            return;
        }
        let text = if super::log_is_human() { format!("{self}\n") } else { self.to_lines() };
        // Where nobody listens there is nobody to tell.
        let _nobody_listens = Stderr.write_all(text.as_bytes());
    }

    /// One JSON object a line, as log lines are.
    fn to_lines(&self) -> String {
        let timestamp = Instant::from(SystemTime::now()).to_string();
        let fields = json!({ "message": self.what, "causes": self.causes, "hint": self.hint });
        let line = json!({ "timestamp": timestamp, "level": "ERROR", "fields": fields });
        self.more.iter().fold(format!("{line}\n"), |lines, report| lines + &report.to_lines())
    }

    /// Without the words; they were printed when it happened.
    pub(crate) fn silenced(self) -> Silenced {
        Silenced(self.status)
    }

    fn call(error: &CallError) -> Self {
        Self::failed(error).hint(error.hint())
    }

    fn invalid(diagnostics: &[Diagnostic]) -> Self {
        let mut report = Self::wrong("the configuration of the source is not valid");
        for diagnostic in diagnostics {
            report = report.because(sentence(diagnostic));
        }
        report
    }
}

/// The exit status of reports that were printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silenced(u8);

impl Silenced {
    pub(crate) fn report(self) -> Report {
        Report { status: self.0, what: String::new(), causes: Vec::new(), hint: None, more: Vec::new() }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for cause in &self.causes {
            write!(f, "\n  cause: {}", cause.replace('\n', "\n         "))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        for report in &self.more {
            write!(f, "\n{report}")?;
        }
        Ok(())
    }
}

/// What a server says, short and on one line.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    line.trim().to_owned()
}

/// A diagnostic in one line.
pub(crate) fn sentence(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, pointer, message, hint, .. } = diagnostic;
    let place = pointer.as_deref().filter(|pointer| !pointer.is_empty()).unwrap_or(code);
    match hint {
        Some(hint) => format!("{place}: {message} ({hint})"),
        None => format!("{place}: {message}"),
    }
}

fn fault(fault: &Fault) -> String {
    let Fault { code, message, status, request_id, .. } = fault;
    let mut text = format!("{code}: {message}");
    if let Some(status) = status {
        text.push_str(&format!(" (status {status})"));
    }
    if let Some(id) = request_id {
        text.push_str(&format!(" (request {id})"));
    }
    text
}

impl From<LoadError> for Report {
    fn from(error: LoadError) -> Self {
        Self::wrong(&error).hint(error.hint())
    }
}

impl From<ProxyError> for Report {
    fn from(error: ProxyError) -> Self {
        Self::wrong(&error).hint(error.hint())
    }
}

impl From<TlsError> for Report {
    fn from(error: TlsError) -> Self {
        Self::wrong(&error).hint(error.hint())
    }
}

/// What the operator has to put right.
impl From<Denial> for Report {
    fn from(denial: Denial) -> Self {
        let report = Self::wrong(&denial);
        match denial.hint {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

impl From<CallError> for Report {
    fn from(error: CallError) -> Self {
        Self::call(&error)
    }
}

impl From<SinkError> for Report {
    fn from(error: SinkError) -> Self {
        Self::failed(&error).hint(error.hint())
    }
}

impl From<StateError> for Report {
    fn from(error: StateError) -> Self {
        Self::failed(&error).hint(error.hint())
    }
}

impl From<OpenError> for Report {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Config(diagnostics) => Self::invalid(&diagnostics),
            OpenError::Refused(refused) => Self::wrong(&refused).hint(refused.hint()),
            OpenError::Secrets(error) => Self::wrong(&error).hint(error.hint()),
            OpenError::Call(error) => Self::call(&error),
        }
    }
}

impl From<RunError> for Report {
    fn from(error: RunError) -> Self {
        let mut report = match &error {
            RunError::Config(diagnostics) => return Self::invalid(diagnostics),
            RunError::Unauthenticated(_) => Self::refused(&error),
            _ => Self::failed(&error),
        };
        if let Some(said) = error.fault() {
            report = report.because(fault(said));
        }
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}
