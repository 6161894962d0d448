//! The configuration that a component gets: what is written, and the secrets from where they are kept.

use serde_json::{Map, Value};

use super::config::{SecretFrom, SourceTable};
use super::report::Report;

/// Which values stand for the secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Secrets {
    /// The real ones.
    Real,
    /// A placeholder, for what needs no secret.
    Placeholders,
}

/// Secrets are short; a larger file is another one.
const LONGEST: usize = 64 << 10;

/// The JSON text that the component gets.
pub(crate) fn config_json(source: &SourceTable, secrets: Secrets) -> Result<String, Report> {
    let mut members = Map::new();
    for (name, value) in &source.config {
        members.insert(name.clone(), json(value));
    }
    for (member, from) in &source.secrets {
        let value = match secrets {
            Secrets::Real => read(member, from).map_err(|report| report.of(&source.name))?,
            Secrets::Placeholders => "placeholder".to_owned(),
        };
        members.insert(member.clone(), Value::String(value));
    }
    Ok(Value::Object(members).to_string())
}

/// The value of a secret; `member` is what it is for.
pub(crate) fn read(member: &str, from: &SecretFrom) -> Result<String, Report> {
    let value = match from {
        SecretFrom::Env(name) => std::env::var(name).map_err(|error| {
            let reason = match error {
                std::env::VarError::NotPresent => "is not set",
                std::env::VarError::NotUnicode(_) => "holds what is no text",
            };
            Report::wrong(format!("the secret `{member}` is missing: the environment variable {name} {reason}"))
                .hint(format!("set {name} before starting, or take the secret from a file: {{ file = \"PATH\" }}"))
        })?,
        SecretFrom::File(path) => {
            let problem = |reason: String| {
                Report::wrong(format!("the secret `{member}` cannot be read from {}: {reason}", path.display()))
                    .hint("the file holds the secret alone, as text, readable for this user")
            };
            let text = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
            if text.len() > LONGEST {
                return Err(problem(format!("it is longer than {LONGEST} bytes")));
            }
            String::from_utf8(text).map_err(|_| problem("it holds what is no text".to_owned()))?
        }
    };
    // Editors and `echo` end a file with a line break, which is no part of the secret.
    let value = value.strip_suffix('\n').map_or(value.as_str(), |value| value.strip_suffix('\r').unwrap_or(value));
    if value.is_empty() {
        let place = match from {
            SecretFrom::Env(name) => format!("the environment variable {name}"),
            SecretFrom::File(path) => path.display().to_string(),
        };
        return Err(Report::wrong(format!("the secret `{member}` is empty: nothing stands in {place}"))
            .hint("put the secret there, and nothing else"));
    }
    Ok(value.to_owned())
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(value) => Value::Bool(*value),
        // A source reads times as text.
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.iter().map(json).collect()),
        toml::Value::Table(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source(from: SecretFrom) -> SourceTable {
        SourceTable {
            name: "a".to_owned(),
            component: None,
            config: toml::from_str("api = \"siem\"\nstart = 2026-11-23T00:00:00Z\nlimit = 5\ngroups = [\"x\"]")
                .unwrap(),
            secrets: BTreeMap::from([("client_secret".to_owned(), from)]),
            allow: Vec::new(),
            sinks: None,
        }
    }

    #[test]
    fn a_secret_of_a_file_joins_the_configuration_without_its_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "p+/=&% ü\n").unwrap();
        let config: Value =
            serde_json::from_str(&config_json(&source(SecretFrom::File(path)), Secrets::Real).unwrap()).unwrap();
        let expected = serde_json::json!({
            "api": "siem", "start": "2026-11-23T00:00:00Z", "limit": 5, "groups": ["x"], "client_secret": "p+/=&% ü",
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn a_missing_or_empty_secret_is_named_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = |from| config_json(&source(from), Secrets::Real).unwrap_err().to_string();
        assert!(read(SecretFrom::Env("NO_SUCH_VARIABLE_HERE".to_owned())).contains("NO_SUCH_VARIABLE_HERE is not set"));
        assert!(read(SecretFrom::File(path.clone())).contains("cannot be read from"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read(SecretFrom::File(path.clone())).contains("is empty"));
        std::fs::write(&path, b"canary\xff").unwrap();
        let message = read(SecretFrom::File(path));
        assert!(message.contains("no text") && !message.contains("canary"), "{message}");
    }
}
