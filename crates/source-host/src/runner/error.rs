//! Why a run ended that a person has to look at.

use std::time::Duration;

use crate::bindings::{Budget, Diagnostic, Failure, Fault};
use crate::checkpoint::StateError;
use crate::instance::CallError;
use crate::policy::Denial;
use crate::sink::SinkError;

/// Why a run ended that a person has to look at.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration is wrong.
    #[error("the configuration is not valid")]
    Config(Vec<Diagnostic>),
    /// The service refused the credentials.
    #[error("the service refused the credentials")]
    Unauthenticated(Fault),
    /// The credentials are right, and not enough.
    #[error("the credentials lack a permission")]
    Forbidden(Fault),
    /// The service refuses for good, or answers what cannot be read.
    #[error("the service refused the request")]
    Rejected(Fault),
    /// It would have to wait longer than a run to the end does.
    #[error("the service cannot be read now{}", given_up(*.wait, *.failures))]
    Waiting {
        /// Polls in a row that failed for such a reason, this one included.
        failures: u32,
        /// Until the next try, where anything says how long that is.
        wait: Option<Duration>,
        /// What went wrong.
        fault: Fault,
    },
    /// The checkpoint is of no use to the component.
    #[error("the component cannot read on from the stored checkpoint")]
    Checkpoint(Fault),
    /// It needs more in one poll than it may have.
    #[error("the budget of a poll is too small: the component needs {} events, {} bytes, {} requests and {:?}", .0.max_events,
        .0.max_bytes, .0.max_requests, Duration::from_nanos(.0.max_duration))]
    Budget(Budget),
    /// It needs more requests in one poll than its quota ever has.
    #[error(
        "a poll needs {needed} requests, and the quota that the source shares never has more than {most} at a time"
    )]
    Share {
        /// What a poll needs.
        needed: u32,
        /// What it can have.
        most: u32,
    },
    /// It would have to wait for its quota longer than a run to the end does.
    #[error(
        "no request can be made for {wait:?}: those that the source shares with others are used up, or their service wants \
             none before"
    )]
    Quota {
        /// Until some are free again.
        wait: Duration,
    },
    /// A request was refused by the policy.
    #[error("a request of the component was refused: {0}")]
    Denied(Denial),
    /// A secret is not there.
    #[error("{0}")]
    Secret(Denial),
    /// The component says that there is more and does not move.
    #[error("the component says that there is more to read, and does not get on")]
    Stuck,
    /// The component handed over what can be neither delivered nor stored.
    #[error("the component does not keep to the contract: {0}")]
    Broken(String),
    /// The component failed again and again.
    #[error("the component failed several times in a row; the last time: {0}")]
    Lost(CallError),
    /// A bug in the component.
    #[error("the component reports a bug of its own")]
    Internal(Fault),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The output.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What to do where time does it.
const LATER: &str = "start it again later; `run` without --once waits for as long as it takes";

/// Why nothing is waited for any more.
fn given_up(wait: Option<Duration>, failures: u32) -> String {
    let next = wait.map(|wait| format!("; the next try would be in {wait:?}"));
    match failures {
        0 | 1 => next.unwrap_or_default(),
        _ => format!(": {failures} polls in a row failed{}", next.unwrap_or_default()),
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::InvalidConfig(diagnostics) => Self::Config(diagnostics),
            Failure::Unauthenticated(fault) => Self::Unauthenticated(fault),
            Failure::Forbidden(fault) => Self::Forbidden(fault),
            Failure::Throttled(delay) | Failure::Unavailable(delay) => {
                Self::Waiting { failures: 1, wait: delay.after.map(Duration::from_nanos), fault: delay.fault }
            }
            Failure::Rejected(fault) => Self::Rejected(fault),
            Failure::UnusableCheckpoint(fault) => Self::Checkpoint(fault),
            Failure::BudgetTooSmall(budget) => Self::Budget(budget),
            Failure::Internal(fault) => Self::Internal(fault),
        }
    }
}

impl RunError {
    /// What the component said, where it said something.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unauthenticated(fault)
            | Self::Forbidden(fault)
            | Self::Rejected(fault)
            | Self::Waiting { fault, .. }
            | Self::Checkpoint(fault)
            | Self::Internal(fault) => Some(fault),
            _ => None,
        }
    }

    /// All of it in one line: what happened, what the component said, and what to do.
    #[must_use]
    pub fn explained(&self) -> String {
        let mut line = self.to_string();
        if let Self::Config(diagnostics) = self {
            for Diagnostic { code, pointer, message, .. } in diagnostics {
                let place = pointer.as_deref().filter(|pointer| !pointer.is_empty()).unwrap_or(code);
                line.push_str(&format!("; {place}: {message}"));
            }
        }
        if let Some(Fault { code, message, .. }) = self.fault() {
            line.push_str(&format!(": {code}: {message}"));
        }
        match self.hint() {
            Some(hint) => format!("{line} ({hint})"),
            None => line,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match (self.fault().and_then(|fault| fault.hint.as_deref()), self) {
            (Some(hint), Self::Waiting { .. }) => return Some(format!("{LATER}. {hint}")),
            (Some(hint), _) => return Some(hint.to_owned()),
            (None, _) => {}
        }
        let hint = match self {
            Self::Config(_) => "correct what is named above in the [[source]]'s config",
            Self::Unauthenticated(_) => "check the credentials, and replace what has expired",
            Self::Forbidden(_) => "grant the permission that is named above, and consent to it as an administrator",
            Self::Share { .. } => "raise `per_minute` and `per_hour` of the [[quota]]",
            Self::Waiting { .. } | Self::Quota { .. } => LATER,
            Self::Checkpoint(_) => {
                "move the state away to start where the configuration says, or restore one from a backup"
            }
            Self::Budget(_) => "raise max_events, max_bytes, max_requests or max_duration under [host]",
            Self::Denied(denial) | Self::Secret(denial) => return denial.hint.clone(),
            Self::Rejected(_) => "compare the configuration with what the service documents",
            Self::Stuck | Self::Broken(_) | Self::Internal(_) => "report it to whoever makes the component",
            Self::Lost(error) => error.hint(),
            Self::State(error) => return Some(error.hint().to_owned()),
            Self::Sink(error) => return Some(error.hint().to_owned()),
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::Level;

    #[test]
    fn an_error_in_one_line_holds_all_that_is_known() {
        let fault = Fault {
            code: "token.refused".to_owned(),
            message: "No token.".to_owned(),
            hint: Some("Replace the secret.".to_owned()),
            status: Some(401),
            request_id: None,
            checkpoint: None,
        };
        assert_eq!(
            RunError::Unauthenticated(fault).explained(),
            "the service refused the credentials: token.refused: No token. (Replace the secret.)"
        );
        let wrong = |pointer: Option<&str>, message: &str| Diagnostic {
            level: Level::Error,
            code: "config".to_owned(),
            pointer: pointer.map(str::to_owned),
            message: message.to_owned(),
            hint: None,
        };
        assert_eq!(
            RunError::Config(vec![wrong(Some("/region"), "is missing"), wrong(None, "is no JSON")]).explained(),
            "the configuration is not valid; /region: is missing; config: is no JSON (correct what is named above in the \
             [[source]]'s config)"
        );
        assert!(RunError::Stuck.explained().ends_with("(report it to whoever makes the component)"));
    }
}
