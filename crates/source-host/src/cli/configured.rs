//! One source of a configuration file, for another program than `source-host run`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use source_host::{AccessPlan, Budget, Component, Limits, Policy, SecretValue, Transport, Vault};

use super::config::{Config, EntryFrom, SourceTable};
use super::open::{Components, Reviewed, network, review};
use super::report::Report;
use super::rotating::Rotating;
use super::secrets::{pointer, read};

/// What `source-host run` would poll: one source of a configuration file, reviewed, and not connected yet.
pub struct ConfiguredSource {
    /// Its name.
    pub name: String,
    /// Its component.
    pub component: Component,
    /// The configuration that the component gets, as JSON text, with placeholders in place of its secrets.
    pub config: String,
    /// What its configuration means, as the component says.
    pub plan: AccessPlan,
    /// What it may reach.
    pub policy: Policy,
    /// What fills its secrets in.
    pub vault: Vault,
    /// The members of `config` that are secrets, by JSON Pointer, with their values as they are now, those that the
    /// component sees (`expose = true`) included.
    pub secrets: Vec<(String, SecretValue)>,
    /// What an instance may use.
    pub limits: Limits,
    /// What one poll may bring.
    pub budget: Budget,
    /// The network, with the configured proxy and certificates.
    pub transport: Arc<dyn Transport>,
}

/// Shows no secret.
impl fmt::Debug for ConfiguredSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredSource")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Why a configured source cannot be polled. Its text has lines for causes and hints, and holds no secret.
#[derive(Clone, Debug)]
pub struct ConfigError(Report);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_prefix("error: ").unwrap_or(&text))
    }
}

impl std::error::Error for ConfigError {}

impl From<Report> for ConfigError {
    fn from(report: Report) -> Self {
        Self(report)
    }
}

/// The source of this name, or the only one.
pub(crate) fn named<'a>(config: &'a Config, file: &Path, name: Option<&str>) -> Result<&'a SourceTable, Report> {
    let names: Vec<&str> = config.sources.iter().map(|table| table.name.as_str()).collect();
    match (name, &config.sources[..]) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let hint = format!("name one with --source: {}", names.join(", "));
            Err(Report::wrong(format!("{} holds {} sources", file.display(), names.len())).hint(hint))
        }
        (Some(name), tables) => tables.iter().find(|table| table.name == name).ok_or_else(|| {
            Report::wrong(format!("{} holds no source `{name}`", file.display()))
                .hint(format!("there are {}", names.join(", ")))
        }),
    }
}

/// Reads a configuration file of `source-host run`, takes the source with this name, or the only one, and plans it. Its
/// secrets are read, and nothing is sent.
///
/// # Errors
///
/// The file, a secret, the component or what it plans is not as it has to be; or the file holds several sources and none is
/// named.
pub async fn configured(file: &Path, name: Option<&str>) -> Result<ConfiguredSource, ConfigError> {
    let config = Config::load(file)?;
    let table = named(&config, file, name)?;
    let network = network(&config)?;
    let mut components = Components::new(config.host.cache.clone())?;
    let Reviewed { component, json, plan, policy, vault } = review(table, &config, &mut components).await?;
    let mut secrets = Vec::new();
    for (member, entry) in &table.secrets {
        let value = match &entry.from {
            // Of two, the form of a request shows one, in a field that is known to hold it.
            EntryFrom::Kept(from) | EntryFrom::Spared(from, _) => read(member, from),
            EntryFrom::Rotating(path) => Rotating::new(member, path, &table.name).read(),
            // The key never leaves the signer, and a token is asked for when it is sent.
            EntryFrom::Certificate(_) | EntryFrom::ManagedIdentity { .. } => continue,
        };
        let value = value.map_err(|denial| Report::from(denial).of(&table.name))?;
        secrets.push((pointer(member), SecretValue::new(value)));
    }
    Ok(ConfiguredSource {
        name: table.name.clone(),
        component,
        config: json,
        plan,
        policy,
        vault,
        secrets,
        limits: config.host.limits.clone(),
        budget: config.host.budget,
        transport: network.transport,
    })
}
