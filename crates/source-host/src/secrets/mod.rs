//! Keeps secrets out of the component: its configuration holds placeholders, and the host puts the real values into the
//! requests that the plan names, and takes the tokens out of their answers.
//!
//! [`Secrets`] stands for them before the plan is known, and the [`Vault`] that becomes of it fills them in.

mod answer;
mod capture;
mod fill;
mod form;
mod mask;
mod placeholder;
mod scrub;
mod token;
mod vault;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::bindings::AccessPlan;
use crate::policy::{Denial, Policy};

use placeholder::Mint;

pub(crate) use answer::{Received, has_another};
pub(crate) use fill::Refusal;
pub(crate) use scrub::Scrubber;
pub(crate) use token::{claims, expiry};
pub use vault::Vault;

/// The value of a secret, which no `Debug` shows.
#[derive(Clone, Eq, PartialEq)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Whoever takes it answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue([redacted])")
    }
}

/// Where the value of a secret comes from.
#[async_trait]
pub trait SecretSource: Send + Sync + 'static {
    /// The value for one request to this URL. It is asked for each request that carries the secret, and not kept, so that
    /// a secret that was replaced is used the next time, and one that is made for each request can be.
    ///
    /// # Errors
    ///
    /// There is none now: why, and what to do. It is for the operator; the component learns only that there is none.
    async fn value(&self, url: &http::Uri) -> Result<SecretValue, Denial>;

    /// Takes the value that the service issued in place of the one that was sent, as with each use of a refresh token
    /// (RFC 6749, section 6). It returns once the new one outlives this process: the component sees nothing of the
    /// answer before. A source that cannot store drops it.
    ///
    /// # Errors
    ///
    /// It was not stored: why, and what to do. The component learns only that its request failed.
    async fn rotated(&self, sent: &SecretValue, issued: SecretValue) -> Result<(), Denial> {
        let _: (&SecretValue, SecretValue) = (sent, issued);
        Ok(())
    }

    /// Hears that the service did not take the value that was sent: `invalid_client` (RFC 6749, section 5.2), or the status
    /// 401 for a bearer token (RFC 6750, section 3.1). Where there may be another one, it says so, and the request is sent
    /// once more with what [`value`](Self::value) returns then, which may also say why there is none.
    async fn refused(&self, sent: &SecretValue) -> bool {
        let _: &SecretValue = sent;
        false
    }
}

/// A secret that does not change.
#[async_trait]
impl SecretSource for SecretValue {
    async fn value(&self, _: &http::Uri) -> Result<SecretValue, Denial> {
        Ok(self.clone())
    }
}

/// The secrets of one source, before its plan says where they go.
pub struct Secrets {
    mint: Mint,
    held: Vec<Held>,
}

/// A secret and what stands for it in the configuration.
struct Held {
    pointer: String,
    placeholder: String,
    source: Arc<dyn SecretSource>,
}

/// Why secrets cannot be kept out of a component.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Misplanned {
    /// The plan names no use for one of them.
    #[error(
        "the plan of the component does not say where it sends the secret `{pointer}`, so it would never be filled in"
    )]
    Unused {
        /// The JSON Pointer of the member that holds it.
        pointer: String,
    },
    /// It is sent to what is no origin of the plan.
    #[error(
        "the plan of the component sends the secret `{pointer}`, or what it is exchanged for, to an origin that it does not name"
    )]
    NoOrigin {
        /// The JSON Pointer of the member that holds it.
        pointer: String,
    },
    /// It is sent to an origin that the policy does not allow.
    #[error(
        "the plan of the component sends the secret `{pointer}`, or what it is exchanged for, to {origin}, which was not granted"
    )]
    NotGranted {
        /// The JSON Pointer of the member that holds it.
        pointer: String,
        /// Where it is sent.
        origin: String,
    },
}

impl Misplanned {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unused { pointer } => format!(
                "check the name of the member; where the component is to see the value itself, add `expose = true`: \
                 {} = {{ env = \"NAME\", expose = true }}",
                pointer.trim_start_matches('/')
            ),
            Self::NoOrigin { .. } => "this is a bug of the component: report it to whoever makes it".to_owned(),
            Self::NotGranted { origin, .. } => {
                format!("if you trust it with this secret, add to the [[source]]: allow = [{origin:?}]")
            }
        }
    }
}

impl Secrets {
    /// None yet.
    ///
    /// # Errors
    ///
    /// The machine gives no random bytes.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { mint: Mint::new()?, held: Vec::new() })
    }

    /// Takes the secret of the configuration's member at this JSON Pointer, and returns the placeholder that has to stand
    /// there in its place: text of `[A-Za-z0-9_-]` that nobody can guess.
    #[must_use]
    pub fn hold(&mut self, pointer: impl Into<String>, source: Arc<dyn SecretSource>) -> String {
        let placeholder = self.mint.placeholder("secret");
        self.held.push(Held { pointer: pointer.into(), placeholder: placeholder.clone(), source });
        placeholder
    }

    /// Whether it holds the secret of this member.
    #[must_use]
    pub fn holds(&self, pointer: &str) -> bool {
        self.held.iter().any(|held| held.pointer == pointer)
    }

    /// What fills them in as the plan says. Uses of members that are not held are none of its business: their values
    /// stand in the configuration.
    ///
    /// # Errors
    ///
    /// A secret for which the plan names no use, or one that is sent elsewhere than the policy allows.
    pub fn planned(self, plan: &AccessPlan, policy: &Policy) -> Result<Vault, Misplanned> {
        Vault::new(self, plan, policy)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointers: Vec<&str> = self.held.iter().map(|held| held.pointer.as_str()).collect();
        f.debug_struct("Secrets").field("held", &pointers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
