//! The configuration that a component gets: what is written, placeholders for its secrets, and the secrets from where they
//! are kept.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use serde_json::{Map, Value};
use source_host::{AccessPlan, Clock as _, Denial, SecretSource, SecretValue, Secrets, SystemClock};

use super::certificate::Certificate;
use super::config::{EntryFrom, SecretEntry, SecretFrom, SourceTable};
use super::managed_identity::ManagedIdentity;
use super::report::Report;
use super::rotating::Rotating;
use super::spared::{Spared, fingerprint};
use crate::secrets::expiry;

/// So near its end a token may be refused because of that: clocks differ.
pub(super) const SKEW: Duration = Duration::from_secs(5 * 60);

/// Secrets are short; a larger file is another one.
const LONGEST: usize = 64 << 10;

/// The JSON text that a component gets to be planned with, of which nothing is sent: no secret is needed. What it may see
/// it is shown where it is there, since a plan may depend on it.
pub(crate) fn config_without_secrets(source: &SourceTable) -> String {
    let mut members = members(source);
    for (member, SecretEntry { from, exposed }) in &source.secrets {
        let shown = match from {
            EntryFrom::Kept(from) if *exposed => read(member, from).ok(),
            _ => None,
        };
        members.insert(member.clone(), Value::String(shown.unwrap_or_else(|| "placeholder".to_owned())));
    }
    Value::Object(members).to_string()
}

/// What a component gets to run.
pub(crate) struct WithSecrets {
    /// The JSON text of its configuration.
    pub(crate) json: String,
    /// What stands behind its placeholders.
    pub(crate) secrets: Secrets,
    /// Those of them that have to know what is planned.
    pub(crate) identities: Vec<Arc<ManagedIdentity>>,
}

/// The configuration that a component gets to run, and its secrets. Each that is on this machine is read once, so that a
/// missing one is told at the start.
pub(crate) async fn config_with_secrets(source: &SourceTable) -> Result<WithSecrets, Report> {
    let mut identities = Vec::new();
    let mut members = members(source);
    let mut secrets =
        Secrets::new().map_err(|error| Report::failed("no placeholder can be made for the secrets").because(error))?;
    let mut certificates = Vec::new();
    for (member, SecretEntry { from, exposed }) in &source.secrets {
        let from = match from {
            EntryFrom::Kept(from) => from,
            EntryFrom::Spared(first, spare) => {
                let spared = Spared::new(member, first, spare, &source.name);
                spared.check().map_err(|denial| Report::from(denial).of(&source.name))?;
                members.insert(member.clone(), Value::String(secrets.hold(pointer(member), Arc::new(spared))));
                continue;
            }
            EntryFrom::Rotating(path) => {
                let rotating = Rotating::new(member, path, &source.name);
                rotating.read().map_err(|denial| Report::from(denial).of(&source.name))?;
                members.insert(member.clone(), Value::String(secrets.hold(pointer(member), Arc::new(rotating))));
                continue;
            }
            EntryFrom::ManagedIdentity { client_id, resource } => {
                let identity = identity(member, client_id.as_deref(), resource.as_deref(), source)?;
                let held = secrets.hold(pointer(member), Arc::<ManagedIdentity>::clone(&identity));
                members.insert(member.clone(), Value::String(held));
                identities.push(identity);
                continue;
            }
            EntryFrom::Certificate(from) => {
                certificates.push((member, from));
                continue;
            }
        };
        let (kept, value) = kept(member, from).map_err(|denial| Report::from(denial).of(&source.name))?;
        let shown = if *exposed { value } else { secrets.hold(pointer(member), kept) };
        members.insert(member.clone(), Value::String(shown));
    }
    // Last, since who signs may come from an exposed member.
    for (member, from) in certificates {
        let signs = Certificate { client_id: client_id(&members, member)?, member: member.clone(), from: from.clone() };
        signs.check().await.map_err(|denial| Report::from(denial).of(&source.name))?;
        let shown = secrets.hold(pointer(member), Arc::new(signs));
        members.insert(member.clone(), Value::String(shown));
    }
    Ok(WithSecrets { json: Value::Object(members).to_string(), secrets, identities })
}

fn identity(
    member: &str,
    client_id: Option<&str>,
    resource: Option<&str>,
    source: &SourceTable,
) -> Result<Arc<ManagedIdentity>, Report> {
    ManagedIdentity::new(member, client_id, resource, &source.name).map_err(|report| report.of(&source.name))
}

/// What stands at this pointer of the configuration, whether it is written out or kept elsewhere; none where there is
/// nothing.
pub(super) fn source_of(
    source: &SourceTable,
    plan: &AccessPlan,
    at: &str,
) -> Result<Option<Arc<dyn SecretSource>>, Report> {
    let mut written = members(source);
    for (member, entry) in &source.secrets {
        // Who signs may come from an exposed member.
        if let EntryFrom::Kept(from) = &entry.from
            && (entry.exposed || pointer(member) == at)
        {
            let (kept, value) = kept(member, from)?;
            if pointer(member) == at {
                return Ok(Some(kept));
            }
            written.insert(member.clone(), Value::String(value));
        }
    }
    match source.secrets.iter().find(|(member, _)| pointer(member) == at) {
        Some((member, entry)) if let EntryFrom::Certificate(from) = &entry.from => {
            let client_id = client_id(&written, member)?;
            Ok(Some(Arc::new(Certificate { client_id, member: member.clone(), from: from.clone() })))
        }
        Some((member, entry)) if let EntryFrom::Spared(first, spare) = &entry.from => {
            Ok(Some(Arc::new(Spared::new(member, first, spare, &source.name))))
        }
        Some((member, entry)) if let EntryFrom::ManagedIdentity { client_id, resource } = &entry.from => {
            let identity = identity(member, client_id.as_deref(), resource.as_deref(), source)?;
            identity.planned(plan)?;
            Ok(Some(identity))
        }
        _ => {
            let literal = Value::Object(written).pointer(at).and_then(Value::as_str).map(SecretValue::new);
            Ok(literal.map(|value| Arc::new(value) as Arc<dyn SecretSource>))
        }
    }
}

/// Who signs: in small letters, as the token request has it.
fn client_id(members: &Map<String, Value>, member: &str) -> Result<String, Report> {
    let written = members.get("client_id").and_then(Value::as_str);
    written.map(str::to_ascii_lowercase).ok_or_else(|| {
        Report::wrong(format!("nobody is named who signs for `{member}`"))
            .hint("write `client_id`, the application (client) ID, under [source.config]")
    })
}

/// The JSON Pointer of a member of the configuration.
pub(super) fn pointer(member: &str) -> String {
    format!("/{}", member.replace('~', "~0").replace('/', "~1"))
}

fn members(source: &SourceTable) -> Map<String, Value> {
    source.config.iter().map(|(name, value)| (name.clone(), json(value))).collect()
}

/// A secret where it is kept, and its value now, so that a missing one is told at the start.
pub(crate) fn kept(member: &str, from: &SecretFrom) -> Result<(Arc<dyn SecretSource>, String), Denial> {
    let value = read(member, from)?;
    Ok((Arc::new(Kept::new(member, from)), value))
}

/// A secret where it is kept, read anew each time.
struct Kept {
    member: String,
    from: SecretFrom,
    /// The digest of a token that ran out and was refused, until another stands there.
    ended: Mutex<Option<[u8; 32]>>,
}

#[async_trait]
impl SecretSource for Kept {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        let value = self.now().await?;
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended == Some(fingerprint(&value)) {
            return Err(self.has_ended(&value));
        }
        *ended = None;
        Ok(SecretValue::new(value))
    }

    async fn refused(&self, sent: &SecretValue) -> bool {
        // An environment does not change.
        let SecretFrom::File(_) = self.from else { return false };
        let Ok(now) = self.now().await else { return true };
        if now != sent.expose() {
            return true;
        }
        // Whoever writes the next token into the file is late, which says nothing against that one.
        let is_over = expiry(&now).is_some_and(|end| end < SystemClock::default().wall() + SKEW);
        if is_over {
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint(&now));
        }
        is_over
    }
}

impl Kept {
    fn new(member: &str, from: &SecretFrom) -> Self {
        Self { member: member.to_owned(), from: from.clone(), ended: Mutex::default() }
    }

    async fn now(&self) -> Result<String, Denial> {
        let (member, from) = (self.member.clone(), self.from.clone());
        // The disk may take its time.
        let read = tokio::task::spawn_blocking(move || read(&member, &from)).await;
        read.map_err(|error| Denial {
            reason: format!("the secret `{}` cannot be read: {error}", self.member),
            hint: None,
        })?
    }

    fn has_ended(&self, token: &str) -> Denial {
        let end = expiry(token).and_then(|end| i64::try_from(end.as_secs()).ok());
        let end =
            end.and_then(|end| DateTime::from_timestamp(end, 0)).map(|end| end.format(" at %Y-%m-%d %H:%M:%S UTC"));
        let end = end.map(|end| end.to_string()).unwrap_or_default();
        Denial {
            reason: format!("the token `{}` ended{end}, and no other is in its place", self.member),
            hint: Some(
                "let whatever writes that file put the next one there before, or set this machine's clock".to_owned(),
            ),
        }
    }
}

/// The value of a secret; `member` is what it is for.
pub(crate) fn read(member: &str, from: &SecretFrom) -> Result<String, Denial> {
    let (text, place) = match from {
        SecretFrom::Env(name) => (variable(member, name)?, format!("the environment variable {name}")),
        SecretFrom::File(path) => (file(member, path)?, path.display().to_string()),
    };
    let value = trimmed(&text);
    if value.is_empty() {
        let reason = format!("the secret `{member}` is empty: nothing stands in {place}");
        return Err(Denial { reason, hint: Some("put the secret there, and nothing else".to_owned()) });
    }
    Ok(value.to_owned())
}

/// Editors and `echo` end a file with a line break, which is no part of the secret.
pub(super) fn trimmed(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |value| value.strip_suffix('\r').unwrap_or(value))
}

fn variable(member: &str, name: &str) -> Result<String, Denial> {
    std::env::var(name).map_err(|error| {
        let problem = match error {
            std::env::VarError::NotPresent => "is not set",
            std::env::VarError::NotUnicode(_) => "holds what is no text",
        };
        let reason = format!("the secret `{member}` is missing: the environment variable {name} {problem}");
        let hint = format!("set {name} before starting, or take the secret from a file: {{ file = \"PATH\" }}");
        Denial { reason, hint: Some(hint) }
    })
}

fn file(member: &str, path: &Path) -> Result<String, Denial> {
    let problem = |why: io::Error| Denial {
        reason: format!("the secret `{member}` cannot be read from {}: {why}", path.display()),
        hint: Some("the file holds the secret alone, as text, readable for this user".to_owned()),
    };
    short_text(path).map_err(problem)
}

/// A short text of a file.
pub(super) fn short_text(path: &Path) -> io::Result<String> {
    text(short_file(path)?)
}

/// What a short file holds.
pub(super) fn short_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(bytes)
}

/// What a file holds, as text.
pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("it holds what is no text"))
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

    fn source(from: SecretFrom, exposed: bool) -> SourceTable {
        SourceTable {
            name: "a".to_owned(),
            component: None,
            config: toml::from_str("api = \"siem\"\nstart = 2026-11-23T00:00:00Z\nlimit = 5\ngroups = [\"x\"]")
                .unwrap(),
            secrets: BTreeMap::from([(
                "client_secret".to_owned(),
                SecretEntry { from: EntryFrom::Kept(from), exposed },
            )]),
            allow: Vec::new(),
            sinks: None,
            quota: None,
        }
    }

    #[tokio::test]
    async fn an_exposed_secret_of_a_file_joins_the_configuration_without_its_line_break_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "p+/=&% ü\n").unwrap();
        let config = async |exposed| {
            let made = config_with_secrets(&source(SecretFrom::File(path.clone()), exposed)).await.unwrap();
            let config: Value = serde_json::from_str(&made.json).unwrap();
            (config, made.secrets.holds("/client_secret"))
        };
        let expected = serde_json::json!({
            "api": "siem", "start": "2026-11-23T00:00:00Z", "limit": 5, "groups": ["x"], "client_secret": "p+/=&% ü",
        });
        assert_eq!(config(true).await, (expected, false));
        let (kept, held) = config(false).await;
        assert!(held && kept["client_secret"].as_str().unwrap().starts_with("secret-"), "{kept}");
    }

    #[tokio::test]
    async fn a_secret_that_was_replaced_is_used_the_next_time_and_one_that_is_gone_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let kept = Kept::new("s", &SecretFrom::File(path.clone()));
        for value in ["first", "second"] {
            std::fs::write(&path, value).unwrap();
            assert_eq!(kept.value(&"https://a.example/".parse().unwrap()).await, Ok(SecretValue::new(value)));
        }
        std::fs::remove_file(&path).unwrap();
        let gone = kept.value(&"https://a.example/".parse().unwrap()).await.unwrap_err();
        assert!(gone.reason.contains("the secret `s` cannot be read from"), "{gone}");
    }

    #[test]
    fn a_member_is_pointed_to_whatever_its_name() {
        assert_eq!(pointer("a/b~c"), "/a~1b~0c");
    }

    #[tokio::test]
    async fn a_missing_or_empty_secret_is_named_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let read = async |from| match config_with_secrets(&source(from, false)).await {
            Ok(_) => panic!("it was taken"),
            Err(report) => report.to_string(),
        };
        assert!(
            read(SecretFrom::Env("NO_SUCH_VARIABLE_HERE".to_owned()))
                .await
                .contains("NO_SUCH_VARIABLE_HERE is not set")
        );
        assert!(read(SecretFrom::File(path.clone())).await.contains("cannot be read from"));
        std::fs::write(&path, "\n").unwrap();
        assert!(read(SecretFrom::File(path.clone())).await.contains("is empty"));
        std::fs::write(&path, b"canary\xff").unwrap();
        let message = read(SecretFrom::File(path)).await;
        assert!(message.contains("no text") && !message.contains("canary"), "{message}");
    }
}
