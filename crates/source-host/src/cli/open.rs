//! From the configuration to components and sources.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use source_host::{
    AccessPlan, Component, Engine, Grants, Limits, LiveTransport, OpenError, Policy, Proxy, SecretSource, Secrets,
    Source, SourceParts, SystemClock, Tls, Vault,
};

use super::config::{Config, ProxyFrom, SourceTable};
use super::report::Report;
use super::secrets::{self, WithSecrets, config_with_secrets};

/// The component that is used where none is named.
const BUILT_IN: &str = "defender_source.wasm";

/// Compiles each component once.
pub(crate) struct Components {
    engine: Engine,
    cache: Option<PathBuf>,
    compiled: BTreeMap<PathBuf, Component>,
    /// The longest checkpoint that each promises, by its name.
    promises: BTreeMap<String, u32>,
}

impl Components {
    /// None is compiled yet. `cache` is the folder where compiled code is kept from one start to the next.
    pub(crate) fn new(cache: Option<PathBuf>) -> Result<Self, Report> {
        let engine =
            Engine::new().map_err(|error| Report::failed("this machine cannot run WebAssembly").because(error))?;
        Ok(Self { engine, cache, compiled: BTreeMap::new(), promises: BTreeMap::new() })
    }

    pub(crate) fn load(&mut self, path: Option<&Path>) -> Result<Component, Report> {
        let path = path.map_or_else(built_in, |path| Ok(path.to_owned()))?;
        if let Some(component) = self.compiled.get(&path) {
            return Ok(component.clone());
        }
        let component = match &self.cache {
            Some(cache) => self.engine.load_cached(&path, cache)?,
            None => self.engine.load(&path)?,
        };
        self.compiled.insert(path, component.clone());
        Ok(component)
    }

    async fn max_checkpoint_bytes(&mut self, component: &Component, limits: &Limits) -> Result<u32, Report> {
        if let Some(promised) = self.promises.get(component.name()) {
            return Ok(*promised);
        }
        let promised = Source::describe(component, limits).await?.max_checkpoint_bytes;
        self.promises.insert(component.name().to_owned(), promised);
        Ok(promised)
    }
}

/// Where compiled code is kept if nothing else is said; none where this user has no folder for such things.
pub(crate) fn default_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("source-host"))
}

/// Beside the executable, or above it, where cargo leaves the executable one folder deeper than `make` the component.
fn built_in() -> Result<PathBuf, Report> {
    let executable = std::env::current_exe()
        .map_err(|error| Report::failed("cannot tell where this program is").because(error).hint("name a component"))?;
    let candidates = executable.ancestors().skip(1).take(2).map(|folder| folder.join(BUILT_IN));
    let looked: Vec<PathBuf> = candidates.collect();
    looked.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let places: Vec<String> = looked.iter().map(|path| path.display().to_string()).collect();
        Report::wrong(format!("there is no component {BUILT_IN}: looked for {}", places.join(" and ")))
            .hint("build it with `make component`, or name one with `component` in the [[source]]")
    })
}

/// A source that is ready to be polled.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) plan: AccessPlan,
    pub(crate) max_checkpoint_bytes: u32,
    /// The tokens for the API of which the component sees nothing, by the pointers of their members.
    pub(crate) bearers: Vec<(String, Arc<dyn SecretSource>)>,
}

/// A source of which everything is known, and which is not connected.
pub(super) struct Reviewed {
    pub(super) component: Component,
    pub(super) json: String,
    pub(super) plan: AccessPlan,
    pub(super) policy: Policy,
    pub(super) vault: Vault,
}

/// Reviews the plan of a source.
pub(super) async fn review(
    table: &SourceTable,
    config: &Config,
    components: &mut Components,
) -> Result<Reviewed, Report> {
    let of = |report: Report| report.of(&table.name);
    let component = components.load(table.component.as_deref()).map_err(of)?;
    let WithSecrets { json, secrets, identities } = config_with_secrets(table).await?;
    let reviewed = Source::review(&component, &json, &grants(table), &config.host.limits).await;
    let (plan, policy) = match reviewed {
        Ok(reviewed) => reviewed,
        Err(error) => return Err(of(about_placeholder(error, &secrets, &component, &config.host.limits).await)),
    };
    for identity in identities {
        identity.planned(&plan).map_err(of)?;
    }
    let vault = secrets.planned(&plan, &policy).map_err(|error| of(OpenError::from(error).into()))?;
    Ok(Reviewed { component, json, plan, policy, vault })
}

/// Reviews the plan of a source and connects it to the network.
pub(crate) async fn open(
    table: &SourceTable,
    config: &Config,
    components: &mut Components,
    network: &Network,
) -> Result<Opened, Report> {
    let of = |report: Report| report.of(&table.name);
    let Reviewed { component, json, plan, policy, vault } = review(table, config, components).await?;
    let limits = &config.host.limits;
    for note in &plan.notes {
        source_host::report(&table.name, note);
    }
    let max_checkpoint_bytes = components.max_checkpoint_bytes(&component, limits).await.map_err(of)?;
    let bearers = vault.bearers();
    let source = connect(&component, json, policy, network, config).with_secrets(vault);
    Ok(Opened { source, plan, max_checkpoint_bytes, bearers })
}

/// A component that finds fault with what stands in place of a secret is meant to see the value, unless its schema says that
/// a secret belongs there, or knows no such member.
async fn about_placeholder(error: OpenError, secrets: &Secrets, component: &Component, limits: &Limits) -> Report {
    let mut blamed: Vec<String> = match &error {
        OpenError::Config(problems) => problems
            .iter()
            .filter_map(|problem| problem.pointer.as_deref().filter(|pointer| secrets.holds(pointer)))
            .map(|pointer| pointer.trim_start_matches('/').to_owned())
            .collect(),
        _ => Vec::new(),
    };
    let report = Report::from(error);
    if !blamed.is_empty()
        && let Ok(description) = Source::describe(component, limits).await
    {
        blamed.retain(|member| is_to_be_seen(&description.config_schema, member));
    }
    match blamed.first() {
        Some(member) => report.hint(format!(
            "`{member}` holds a placeholder, as every member under `secrets` does; if it is none, add `expose = true`: \
             {member} = {{ env = \"NAME\", expose = true }}"
        )),
        None => report,
    }
}

/// Whether a member may be none of the secrets of a component, as far as its schema says. There is nothing to learn from one
/// without members.
fn is_to_be_seen(schema: &str, member: &str) -> bool {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap_or_default();
    schema.get("properties").is_none_or(|members| {
        members.get(member).is_some_and(|member| member.get("writeOnly") != Some(&serde_json::Value::Bool(true)))
    })
}

/// Microsoft's hosts, and what the operator allows beyond them.
pub(crate) fn grants(table: &SourceTable) -> Grants {
    Grants::microsoft().and(table.allow.iter().cloned())
}

fn connect(component: &Component, json: String, policy: Policy, network: &Network, config: &Config) -> Source {
    let transport = Arc::<LiveTransport>::clone(&network.transport);
    let clock = Arc::new(SystemClock::default());
    let limits = config.host.limits.clone();
    Source::new(component, SourceParts { config: json, policy, transport, clock, limits })
}

/// The network that all sources share.
pub(crate) struct Network {
    pub(crate) tls: Tls,
    pub(crate) proxy: Proxy,
    pub(super) transport: Arc<LiveTransport>,
}

/// The network as the configuration and the environment describe it.
pub(crate) fn network(config: &Config) -> Result<Network, Report> {
    let tls = Tls::new(config.host.ca_file.as_deref())?;
    let proxy = match &config.host.proxy {
        ProxyFrom::Environment => Proxy::from_env()?,
        ProxyFrom::Configuration(proxy, None) => proxy.clone(),
        ProxyFrom::Configuration(proxy, Some(from)) => {
            let credentials = secrets::read("proxy_credentials", from)?;
            let (user, password) = credentials.split_once(':').ok_or_else(|| {
                Report::wrong("the secret `proxy_credentials` is no user and password")
                    .hint("write user:password there")
            })?;
            proxy.clone().with_credentials(user, password)
        }
    };
    tracing::debug!(%proxy, "network");
    let transport = Arc::new(LiveTransport::new(&tls, &proxy));
    Ok(Network { tls, proxy, transport })
}

/// Tells configurations apart; the effective one holds no secret.
pub(crate) fn digest(text: &str) -> String {
    format!("{:016x}", hash(text))
}

/// The same at every start.
pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = twox_hash::XxHash64::with_seed(0);
    hasher.write(text.as_bytes());
    hasher.finish()
}
