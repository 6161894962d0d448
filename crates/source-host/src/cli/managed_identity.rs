//! The access token of an Azure managed identity, which the platform hands to whatever runs on it.
//!
//! Sources: Microsoft Learn, "How to use managed identities for Azure resources on an Azure VM to acquire an access token"
//! and "How to use managed identities for App Service and Azure Functions", which Container Apps share.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, StatusCode, Url};
use serde_json::{Map, Value};
use source_host::{AccessPlan, Clock as _, Denial, SecretPlace, SecretSource, SecretValue, SystemClock};
use tokio::sync::Mutex;

use super::report::{Report, one_line};
use super::secrets::{SKEW, pointer};
use crate::secrets::Scrubber;

/// The metadata service of a virtual machine. Who runs a substitute names it as the libraries of Microsoft have it.
const METADATA: &str = "http://169.254.169.254";
const METADATA_OVERRIDE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// Both are answered on the machine itself; the metadata service gets a token from elsewhere where it has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Before the second and the third time that it is asked, after what passes by itself. Microsoft asks for a second at least.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// How long a token is used that could not be renewed in time, before that is tried again.
const RENEWAL_AFTER: Duration = Duration::from_secs(60);

/// How long a token is taken for good of which nothing says how long it lives, and the longest life that is believed:
/// Microsoft's live a day at most.
const UNKNOWN_LIFE: Duration = Duration::from_secs(5 * 60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest answer, in bytes. Tokens have a few thousand.
const LARGEST_ANSWER: usize = 64 << 10;

/// A managed identity, and the newest of its tokens.
pub(crate) struct ManagedIdentity {
    /// The member of the configuration that the token is for.
    member: String,
    /// The name of the source, for the log.
    source: String,
    /// Which one, where it is assigned by a user; none for that of the system.
    client_id: Option<String>,
    /// What its tokens are for, once that is known.
    resource: OnceLock<String>,
    endpoint: Endpoint,
    client: Client,
    state: Mutex<State>,
}

/// Who hands out tokens here.
struct Endpoint {
    url: Url,
    api_version: &'static str,
    /// What shows that it is no request that somebody was tricked into.
    header: (&'static str, SecretValue),
    /// What it is, and what it belongs to.
    name: &'static str,
    place: &'static str,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// What was refused last.
    refused: Option<SecretValue>,
}

struct Held {
    token: SecretValue,
    /// When to ask for the next one.
    due: Instant,
    ends: Instant,
}

/// Why no token came.
struct Problem {
    denial: Denial,
    /// Whether it is worth to ask again at once.
    passes: bool,
}

#[async_trait]
impl SecretSource for ManagedIdentity {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        // Whoever comes second gets what the first one was given.
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(held) = state.held.as_ref().filter(|held| now < held.due) {
            return Ok(held.token.clone());
        }
        let is_good = state.held.as_ref().is_some_and(|held| now < held.ends);
        match (self.next(state.refused.as_ref(), if is_good { &[] } else { &WAITS }).await, &mut state.held) {
            (Ok(next), held) => Ok(held.insert(next).token.clone()),
            (Err(denial), Some(held)) if is_good => {
                let hint = denial.hint.as_deref();
                tracing::warn!(source = self.source, hint, "{denial}; the token that is there is used until its end");
                held.due = held.ends.min(now + RENEWAL_AFTER);
                Ok(held.token.clone())
            }
            (Err(denial), _) => Err(denial),
        }
    }

    async fn refused(&self, sent: &SecretValue) -> bool {
        let mut state = self.state.lock().await;
        if state.held.as_ref().is_some_and(|held| held.token != *sent) {
            return true;
        }
        let next = self.next(Some(sent), &[]).await.ok();
        // Where there is none, `value` asks again and tells why.
        let may_be_another = next.as_ref().is_none_or(|next| next.token != *sent);
        *state = State { held: next, refused: Some(sent.clone()) };
        may_be_another
    }
}

impl ManagedIdentity {
    /// The identity of this machine for a member of the named source. Its tokens are for `resource`, or for what
    /// [`planned`](Self::planned) says.
    pub(crate) fn new(
        member: &str,
        client_id: Option<&str>,
        resource: Option<&str>,
        source: &str,
    ) -> Result<Arc<Self>, Report> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = Endpoint::here(variable)?;
        let client = client().map_err(|error| Report::failed("no HTTP client can be made").because(error))?;
        let resource = resource.map_or_else(OnceLock::new, |resource| OnceLock::from(resource.to_owned()));
        let (member, client_id, source) = (member.to_owned(), client_id.map(str::to_owned), source.to_owned());
        Ok(Arc::new(Self { member, source, client_id, resource, endpoint, client, state: Mutex::default() }))
    }

    /// Takes what its tokens are for from the plan: the audience, where they are sent as they are.
    pub(crate) fn planned(&self, plan: &AccessPlan) -> Result<(), Report> {
        if self.resource.get().is_some() {
            return Ok(());
        }
        let effective: Value = serde_json::from_str(&plan.effective_config).unwrap_or_default();
        let at = pointer(&self.member);
        let is_bearer = plan.secrets.iter().any(|used| used.pointer == at && used.place == SecretPlace::Bearer);
        let audience = effective.pointer("/endpoints/audience").and_then(Value::as_str).filter(|_| is_bearer);
        let audience = audience.ok_or_else(|| {
            Report::wrong(format!("nothing says what the token of the managed identity for `{}` is for", self.member))
                .hint(
                    "add `resource`, such as managed_identity = { resource = \"api://AzureADTokenExchange\" } for a token that \
                     an application trusts (`federated_token`)",
                )
        })?;
        self.resource.get_or_init(|| audience.to_owned());
        Ok(())
    }

    /// Another token than the one that was refused, or that one where it has long to live.
    async fn next(&self, refused: Option<&SecretValue>, waits: &[Duration]) -> Result<Held, Denial> {
        let mut waits = waits.iter();
        let held = loop {
            match self.ask().await {
                Ok(held) => break held,
                Err(Problem { denial, passes }) => match waits.next().filter(|_| passes) {
                    Some(wait) => {
                        tracing::debug!(source = self.source, ?wait, "{denial}");
                        tokio::time::sleep(*wait).await;
                    }
                    None => return Err(denial),
                },
            }
        };
        // The platform has tokens ready, and hands them out up to their end.
        if refused == Some(&held.token) && held.ends < Instant::now() + SKEW {
            let hint = "nothing to do: another one comes with its end; if this lasts, set this machine's clock";
            return Err(self.problem("it is about to end, and was refused".to_owned(), Some(hint), false).denial);
        }
        tracing::debug!(source = self.source, member = self.member, "a token of the managed identity came");
        Ok(held)
    }

    async fn ask(&self) -> Result<Held, Problem> {
        let mut url = self.endpoint.url.clone();
        let resource = self.resource.get().map_or("", String::as_str);
        url.query_pairs_mut().append_pair("api-version", self.endpoint.api_version).append_pair("resource", resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let (name, value) = &self.endpoint.header;
        let asked = Instant::now();
        let mut answer =
            self.client.get(url).header(*name, value.expose()).send().await.map_err(|error| self.silence(&error))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.silence(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST_ANSWER {
                return Err(self.problem(
                    format!("{} answered with more than {LARGEST_ANSWER} bytes", self.endpoint.name),
                    None,
                    false,
                ));
            }
        }
        let members: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            return Err(self.refusal(status, &members));
        }
        let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            let why = format!("{} answered without a token (HTTP {})", self.endpoint.name, status.as_u16());
            return Err(self.problem(
                why,
                Some("look for what stands in between: only the platform itself answers there"),
                false,
            ));
        }
        let life = life(&members, SystemClock::default().wall());
        Ok(Held { token: SecretValue::new(token), due: asked + life / 2, ends: asked + life })
    }

    fn silence(&self, error: &reqwest::Error) -> Problem {
        let mut why = format!("{} does not answer", self.endpoint.name);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            // The outermost text has the URL in it.
            cause = error.source();
            if cause.is_none() {
                why += &format!(": {error}");
            }
        }
        let hint = "a managed identity is there for programs that run on Azure, and not behind a proxy: run this on the virtual machine \
                    or in the app that has it, or use another credential";
        self.problem(why, Some(hint), !error.is_connect())
    }

    /// The descriptions of errors are for people, and Microsoft changes them.
    fn refusal(&self, status: StatusCode, members: &Map<String, Value>) -> Problem {
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let said: Vec<&str> =
            [text("error"), text("error_description").or_else(|| text("message"))].into_iter().flatten().collect();
        let said = if said.is_empty() { "nothing that is known".to_owned() } else { said.join(": ") };
        let mut scrubber = Scrubber::default();
        scrubber.add(self.endpoint.header.1.expose(), "***");
        let shown = |said: &str| {
            let scrubbed = scrubber.bytes(said.as_bytes());
            one_line(&scrubbed.map_or(said.into(), |bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let said = shown(&said);
        // What support asks for.
        let id = text("correlationId").map_or_else(String::new, |id| format!(" (correlationId {})", shown(id)));
        let why = format!("{} refused (HTTP {}): {said}{id}", self.endpoint.name, status.as_u16());
        if status.is_server_error() || [404, 408, 410, 429].contains(&status.as_u16()) {
            let hint = "nothing to do: it is asked again, and is back within about a minute where it is being updated";
            return self.problem(why, Some(hint), true);
        }
        let place = self.endpoint.place;
        let resource = self.resource.get().map_or("", String::as_str);
        let hint = match &self.client_id {
            _ if text("error") == Some("invalid_resource") => {
                format!("the tenant knows no application {resource}: compare `tenant_id`, `endpoints` and `resource`")
            }
            Some(client_id) => format!(
                "assign the identity of the client ID {client_id} to {place}, under 'Identity', 'User assigned' in the Azure portal, or \
                 correct `client_id` of `managed_identity`"
            ),
            None => format!(
                "switch the identity of {place} on, under 'Identity', 'System assigned' in the Azure portal, or name a user-assigned one: \
                 managed_identity = {{ client_id = \"GUID\" }}"
            ),
        };
        self.problem(why, Some(&hint), false)
    }

    fn problem(&self, why: String, hint: Option<&str>, passes: bool) -> Problem {
        let whose = self.client_id.as_ref().map_or_else(String::new, |client_id| format!(" {client_id}"));
        let reason = format!("the managed identity{whose} has no token for `{}` now: {why}", self.member);
        Problem { denial: Denial { reason, hint: hint.map(str::to_owned) }, passes }
    }
}

impl Endpoint {
    /// What the platform says in the environment.
    fn here(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Report> {
        let wrong = |problem: &str, hint: &str| {
            Err(Report::wrong(format!("no managed identity can be used: {problem}")).hint(hint))
        };
        let (Some(url), header) = (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) else {
            let base = variable(METADATA_OVERRIDE);
            let url =
                format!("{}/metadata/identity/oauth2/token", base.as_deref().unwrap_or(METADATA).trim_end_matches('/'));
            return Ok(Self {
                url: http_url(METADATA_OVERRIDE, &url)?,
                api_version: "2018-02-01",
                header: ("Metadata", SecretValue::new("true")),
                name: "the metadata service of the virtual machine",
                place: "this virtual machine",
            });
        };
        if variable("IDENTITY_SERVER_THUMBPRINT").is_some() {
            return wrong("that of Service Fabric is not known here", "use another credential, such as a certificate");
        }
        let Some(header) = header else {
            return wrong(
                "IDENTITY_ENDPOINT is set without IDENTITY_HEADER, as Azure Arc has it, whose identities are not known here",
                "use another credential; or, in App Service and Container Apps, hand both variables on to this program",
            );
        };
        Ok(Self {
            url: http_url("IDENTITY_ENDPOINT", &url)?,
            api_version: "2019-08-01",
            header: ("X-IDENTITY-HEADER", SecretValue::new(header)),
            name: "the token service of the app (IDENTITY_ENDPOINT)",
            place: "this app",
        })
    }
}

/// What it holds does not leave the machine, so it is not encrypted.
fn http_url(variable: &str, text: &str) -> Result<Url, Report> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.ok_or_else(|| {
        Report::wrong(format!("no managed identity can be used: {variable} holds no http URL"))
            .hint("leave the variable as the platform sets it, or unset it on a virtual machine")
    })
}

/// Of its own: it asks the machine that it runs on, past every proxy, and no rule for sources is about that.
fn client() -> Result<Client, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // No server is believed, since none is asked over TLS.
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("source-host/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT);
    Ok(client.build()?)
}

/// How long a token lives from now on. The seconds of the answer's own count for more than a point in time, since this
/// machine's clock may be wrong; App Service has the latter alone.
fn life(members: &Map<String, Value>, now: Duration) -> Duration {
    let seconds = |name: &str| {
        let value = members.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).map(Duration::from_secs)
    };
    let life = seconds("expires_in").or_else(|| Some(seconds("expires_on")?.saturating_sub(now)));
    life.unwrap_or(UNKNOWN_LIFE).min(LONGEST_LIFE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_life_of_a_token_is_read_in_all_its_forms() {
        let now = Duration::from_secs(1_800_000_000);
        for (answer, seconds) in [
            (json!({ "expires_in": "3599", "expires_on": "1" }), 3_599),
            (json!({ "expires_in": 86_399 }), 86_399),
            (json!({ "expires_on": "1800003600" }), 3_600),
            (json!({ "expires_on": 1_800_000_060 }), 60),
            (json!({ "expires_on": "1799999999" }), 0),
            (json!({ "expires_on": "09/14/2027 00:00:00 PM +00:00" }), 300),
            (json!({ "expires_in": "9999999" }), 86_400),
            (json!({}), 300),
        ] {
            assert_eq!(life(answer.as_object().unwrap(), now).as_secs(), seconds, "{answer}");
        }
    }

    #[test]
    fn the_platform_says_in_the_environment_whom_to_ask() {
        let here =
            |set: &[(&str, &str)]| Endpoint::here(|name| Some(set.iter().find(|(set, _)| *set == name)?.1.to_owned()));
        let metadata = here(&[]).unwrap();
        assert_eq!(metadata.url.as_str(), "http://169.254.169.254/metadata/identity/oauth2/token");
        assert_eq!(
            (metadata.api_version, metadata.header.0, metadata.header.1.expose()),
            ("2018-02-01", "Metadata", "true")
        );
        let substitute = here(&[(METADATA_OVERRIDE, "http://127.0.0.1:81/")]).unwrap();
        assert_eq!(substitute.url.as_str(), "http://127.0.0.1:81/metadata/identity/oauth2/token");
        let app = [("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token"), ("IDENTITY_HEADER", "h")];
        let endpoint = here(&app).unwrap();
        assert_eq!((endpoint.url.as_str(), endpoint.api_version), (app[0].1, "2019-08-01"));
        assert_eq!((endpoint.header.0, endpoint.header.1.expose()), ("X-IDENTITY-HEADER", "h"));
        for (set, expected) in [
            (&[app[0], app[1], ("IDENTITY_SERVER_THUMBPRINT", "x")][..], "Service Fabric"),
            (&[app[0], ("IMDS_ENDPOINT", "http://localhost:40342")], "Azure Arc"),
            (&[("IDENTITY_ENDPOINT", "https://x.example"), app[1]], "IDENTITY_ENDPOINT holds no http URL"),
            (&[(METADATA_OVERRIDE, "169.254.169.254")], "AZURE_POD_IDENTITY_AUTHORITY_HOST holds no http URL"),
        ] {
            let Err(report) = here(set) else { panic!("{expected} was taken") };
            assert!(report.to_string().contains(expected), "{report}");
        }
    }
}
