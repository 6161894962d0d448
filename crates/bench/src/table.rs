//! Figures beside what they are aimed at.

use std::fmt;

/// A figure, and what is aimed at where anything is.
pub(crate) struct Figure {
    what: String,
    measured: String,
    aim: String,
    is_met: Option<bool>,
}

impl Figure {
    pub(crate) fn plain(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), aim: String::new(), is_met: None }
    }

    pub(crate) fn aimed(
        what: impl Into<String>,
        measured: impl Into<String>,
        aim: impl Into<String>,
        is_met: bool,
    ) -> Self {
        Self { what: what.into(), measured: measured.into(), aim: aim.into(), is_met: Some(is_met) }
    }
}

/// A list of figures under a heading.
pub(crate) struct Table {
    pub(crate) heading: String,
    pub(crate) figures: Vec<Figure>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.heading)?;
        for Figure { what, measured, aim, is_met } in &self.figures {
            let verdict = match is_met {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "",
            };
            writeln!(f, "{}", format!("  {what:<62} {measured:>16}   {aim:<18} {verdict}").trim_end())?;
        }
        Ok(())
    }
}
