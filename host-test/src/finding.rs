//! Where a replay is not what its scenario expects.

use std::fmt;

use scenario::{Mismatch, Unused};

/// So many events are named of those that are lost.
const SHOWN_EVENTS: usize = 8;

/// One thing that is not as expected. Its text holds no secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The component asked for what was not recorded; the replay ended there.
    Unmatched(Mismatch),
    /// The component trapped, or went beyond its limits.
    Broken {
        /// What happened.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// A run that should have come to an end did not.
    Endless {
        /// After so many polls.
        polls: u32,
    },
    /// What comes without a fault did not come with it, and no gap says so.
    Lost {
        /// What, by kind and key.
        events: Vec<String>,
        /// How it ended.
        last: String,
    },
    /// What came with a fault never comes without it.
    Invented {
        /// What, by kind and key.
        event: String,
        /// How it is not as the one under the same key, if there is one.
        diff: Option<String>,
    },
    /// An interaction was never asked for.
    Unused(Unused),
    /// An output shows a secret.
    Leak {
        /// Which output.
        output: String,
        /// Which secret, by where it comes from.
        secret: String,
    },
    /// An expected file is not there yet.
    Missing {
        /// Its name.
        file: &'static str,
    },
    /// An expected file says something else.
    Different {
        /// Its name.
        file: &'static str,
        /// A unified difference.
        diff: String,
    },
    /// The source refuses the configuration, and the scenario does not expect that.
    Config {
        /// What is wrong with it, one line each.
        problems: Vec<String>,
    },
}

impl Finding {
    /// Whether `--update` makes it go away.
    pub fn can_be_accepted(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Different { .. } | Self::Config { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmatched(mismatch) => write!(f, "{mismatch}"),
            Self::Broken { message, hint } => write!(f, "{message}\n  hint: {hint}"),
            Self::Endless { polls } => write!(
                f,
                "the source was polled {polls} times and there is no end of it\n  hint: give scenario.json a number of \
                 `polls`, or find out why the source never answers `after` or `ended`"
            ),
            Self::Lost { events, last } => {
                write!(f, "lost, and no gap says so:")?;
                events.iter().take(SHOWN_EVENTS).try_for_each(|event| write!(f, "\n  {event}"))?;
                if events.len() > SHOWN_EVENTS {
                    write!(f, "\n  ... and {} more", events.len() - SHOWN_EVENTS)?;
                }
                write!(
                    f,
                    "\n  {last}\n  hint: account in a checkpoint for what was read to its end, and for nothing else"
                )
            }
            Self::Invented { event, diff } => {
                write!(f, "invented: {event} never comes without the fault")?;
                if let Some(diff) = diff {
                    write!(f, " in this form (- without it, + with it):\n{diff}")?;
                }
                write!(f, "\n  hint: deliver a record only once it was read to its end")
            }
            Self::Unused(unused) => write!(f, "{unused}"),
            Self::Leak { output, secret } => write!(
                f,
                "{output} shows a secret: {secret}\n  hint: this is a bug of the source; it is not shown here again"
            ),
            Self::Missing { file } => write!(f, "{file} is not there, so nothing says what is expected"),
            Self::Different { file, diff } => {
                write!(f, "{file} says something else (- expected, + now):\n{diff}")
            }
            Self::Config { problems } => {
                write!(f, "the source refuses config.json:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}
