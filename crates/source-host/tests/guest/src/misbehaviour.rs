//! What a host has to survive.

use serde::Deserialize;
use waki::bindings::wasi::clocks::monotonic_clock;

use crate::Config;

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Misbehaviour {
    /// Computes for ever.
    Spin,
    /// Wants all the memory there is.
    Grow,
    /// Does what WebAssembly forbids.
    Trap,
    /// Waits for ever.
    Sleep,
    /// Names an origin in its plan that nobody expects.
    PlanForeign,
    /// Asks for an origin that its plan does not name.
    AskForeign,
    /// Makes more requests than its budget allows.
    Flood,
    /// Says that there is more and never moves.
    Stuck,
}

impl Misbehaviour {
    pub(crate) fn act(self, config: &Config) {
        match self {
            Self::Spin => loop {
                std::hint::spin_loop();
            },
            Self::Grow => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1; 1 << 20]));
                }
            }
            Self::Trap => std::process::abort(),
            Self::Sleep => monotonic_clock::subscribe_duration(u64::MAX).block(),
            Self::AskForeign => ask("http://127.0.0.1:1/"),
            Self::Flood => (0..100).for_each(|_| ask(&config.origin)),
            Self::PlanForeign | Self::Stuck => {}
        }
    }
}

/// Asks for a URL and does not care for the answer.
fn ask(url: &str) {
    drop(waki::Client::new().get(url).send());
}
