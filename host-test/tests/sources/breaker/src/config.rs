//! The configuration, and what can be wrong with how it is read.

use serde_json::Value;

use crate::{Diagnostic, wrong};

pub(crate) struct Config {
    pub(crate) origin: String,
    pub(crate) secret: String,
    /// Which law is broken, and how.
    pub(crate) broken: String,
}

impl Config {
    pub(crate) fn read(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let Ok(Value::Object(config)) = serde_json::from_str(text) else {
            if text.contains("config-trap") {
                std::process::abort();
            }
            let quoted = if text.contains("secret-problem") { text } else { "no JSON object" };
            return Err(vec![wrong(None, quoted)]);
        };
        let member = |name: &str| config.get(name).and_then(Value::as_str).map(str::to_owned);
        let broken = member("break").unwrap_or_default();
        let known = ["origin", "secret", "break"];
        let unknown = config.keys().filter(|name| !known.contains(&name.as_str()) && broken != "config-unknown");
        let missing = known.into_iter().filter(|name| member(name).is_none() && broken != "config-kinds");
        let pointer = |name: &str| Some(format!("/{name}")).filter(|_| broken != "config-no-pointer");
        let mut problems: Vec<_> = unknown.map(|name| wrong(pointer(name), "an unknown member")).collect();
        problems.extend(missing.map(|name| wrong(pointer(name), "a text is needed")));
        if problems.is_empty() {
            let text = |name| member(name).unwrap_or_default();
            Ok(Self { origin: text("origin"), secret: text("secret"), broken })
        } else {
            Err(problems)
        }
    }
}
