//! The laws of the contract, as they are checked.

/// One law that a source keeps. `docs/conformance.md` says how each is checked.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Law {
    /// What it imports.
    Imports,
    /// What it says of itself.
    Described,
    /// Its plan is a function of the configuration.
    PlanPure,
    /// It talks to whom it planned to.
    PlanOrigins,
    /// It asks for what was recorded.
    Recorded,
    /// It returns from every call.
    Returns,
    /// It keeps within its budget.
    Budget,
    /// It gets on.
    Progress,
    /// It keeps what `describe` promises.
    Promises,
    /// It loses nothing at any checkpoint.
    Resume,
    /// It depends on nothing that it remembers.
    Memory,
    /// Its keys are stable.
    Keys,
    /// It gives the same bytes.
    SameBytes,
    /// It does not sleep.
    NoSleep,
    /// It refuses a wrong configuration.
    BadConfig,
    /// It refuses a foreign checkpoint.
    BadCheckpoint,
    /// It keeps its secrets.
    Secrets,
    /// It takes over from an older version.
    Upgrade,
}

impl Law {
    /// Every law, in the order in which they are told.
    pub const ALL: [Self; 18] = [
        Self::Imports,
        Self::Described,
        Self::PlanPure,
        Self::PlanOrigins,
        Self::Recorded,
        Self::Returns,
        Self::Budget,
        Self::Progress,
        Self::Promises,
        Self::Resume,
        Self::Memory,
        Self::Keys,
        Self::SameBytes,
        Self::NoSleep,
        Self::BadConfig,
        Self::BadCheckpoint,
        Self::Secrets,
        Self::Upgrade,
    ];

    /// Its name, stable, in kebab-case.
    pub fn id(self) -> &'static str {
        self.text().0
    }

    /// What it asks, in a sentence.
    pub fn sentence(self) -> &'static str {
        self.text().1
    }

    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Imports => ("imports", "It imports wasi:http, wasi:io and wasi:clocks, and nothing else."),
            Self::Described => ("describe", "It says the same of itself every time, with a schema that can be read."),
            Self::PlanPure => ("plan-pure", "A plan follows from the configuration alone, and asks nobody."),
            Self::PlanOrigins => ("plan-origins", "The plan names every origin that is asked."),
            Self::Recorded => ("recorded", "It asks for what was recorded, in that order, and for all of it."),
            Self::Returns => ("returns", "Every call returns: no trap, and no limit of the host is met."),
            Self::Budget => ("budget", "A poll keeps within its budget, or says which larger one it needs."),
            Self::Progress => ("progress", "A poll that answers `now` has moved the checkpoint."),
            Self::Promises => ("promises", "Checkpoints and events are no longer than `describe` says."),
            Self::Resume => ("resume", "A fresh instance at any checkpoint loses nothing."),
            Self::Memory => ("memory", "A fresh instance for every poll delivers the same."),
            Self::Keys => ("keys", "The same thing has the same key in every run, and no other thing has it."),
            Self::SameBytes => {
                ("same-bytes", "The same run gives the same bytes, however answers arrive and clocks began.")
            }
            Self::NoSleep => ("no-sleep", "It never sleeps: delays leave as data."),
            Self::BadConfig => ("bad-config", "A wrong configuration is refused, with a pointer to what is wrong."),
            Self::BadCheckpoint => ("bad-checkpoint", "A checkpoint that it did not make is `unusable-checkpoint`."),
            Self::Secrets => ("secrets", "No secret of the configuration or of an answer leaves."),
            Self::Upgrade => ("upgrade", "Configurations and checkpoints of the previous version go on working."),
        }
    }
}
