//! A component with a configuration, polled through instances that come and go.

use std::sync::Arc;

use crate::bindings::{AccessPlan, Batch, Budget, Description, Diagnostic, Failure, Position};
use crate::clock::{Clock, SystemClock};
use crate::component::Component;
use crate::grants::{Grants, Refused};
use crate::instance::{CallError, Instance};
use crate::limits::Limits;
use crate::metered::Metered;
use crate::observer::Observer;
use crate::policy::{Denial, Policy};
use crate::secrets::{Misplanned, Vault};
use crate::transport::{NoTransport, Transport};

/// What a source is made of besides its component.
pub struct SourceParts {
    /// The configuration, as the JSON text that the component gets.
    pub config: String,
    /// What it may reach.
    pub policy: Policy,
    /// What carries its requests.
    pub transport: Arc<dyn Transport>,
    /// What its clocks read.
    pub clock: Arc<dyn Clock>,
    /// What one instance may use.
    pub limits: Limits,
}

/// Why a source was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration is wrong, and this is everything that is.
    #[error("the configuration is not valid: {}", summary(.0))]
    Config(Vec<Diagnostic>),
    /// It plans to reach more than was granted.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be given its secrets.
    #[error(transparent)]
    Secrets(#[from] Misplanned),
    /// The component failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| match &diagnostic.pointer {
        Some(pointer) => format!("{pointer}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// A component with a configuration. A call that fails costs the instance; the next one gets a fresh one.
pub struct Source {
    component: Component,
    parts: SourceParts,
    policy: Arc<Policy>,
    vault: Option<Arc<Vault>>,
    instance: Option<Instance>,
    instances: u64,
}

impl Source {
    /// Works out what a configuration means in an instance of its own, which reaches nothing.
    ///
    /// # Errors
    ///
    /// The component failed.
    pub async fn plan(
        component: &Component,
        config: &str,
        limits: &Limits,
    ) -> Result<Result<AccessPlan, Vec<Diagnostic>>, CallError> {
        pure_instance(component, limits).await?.plan(config).await
    }

    /// What a component says of itself.
    ///
    /// # Errors
    ///
    /// The component failed.
    pub async fn describe(component: &Component, limits: &Limits) -> Result<Description, CallError> {
        pure_instance(component, limits).await?.describe().await
    }

    /// Plans a configuration and turns the plan into a policy, as far as the grants allow.
    ///
    /// # Errors
    ///
    /// The configuration is wrong, asks for more than was granted, or the component failed.
    pub async fn review(
        component: &Component,
        config: &str,
        grants: &Grants,
        limits: &Limits,
    ) -> Result<(AccessPlan, Policy), OpenError> {
        let plan = Self::plan(component, config, limits).await?.map_err(OpenError::Config)?;
        let policy = grants.review(&plan)?;
        Ok((plan, policy))
    }

    /// A source of these parts. Nothing is called yet.
    #[must_use]
    pub fn new(component: &Component, parts: SourceParts) -> Self {
        let policy = Arc::new(parts.policy.clone());
        Self { component: component.clone(), parts, policy, vault: None, instance: None, instances: 0 }
    }

    /// The same with secrets for which its configuration holds placeholders.
    #[must_use]
    pub fn with_secrets(mut self, vault: Vault) -> Self {
        self.vault = (!vault.is_empty()).then(|| Arc::new(vault));
        self
    }

    /// Tells an observer of every request from now on, under this name.
    pub(crate) fn tell(&mut self, name: &str, observer: &Arc<dyn Observer>) {
        self.parts.transport = Arc::new(Metered::new(Arc::clone(&self.parts.transport), name, observer));
        self.discard_instance();
    }

    /// Reads on from a position, within a budget.
    ///
    /// # Errors
    ///
    /// The instance was lost. The next call gets a fresh one; call it with the checkpoint that was stored last.
    pub async fn poll(&mut self, at: &Position, budget: &Budget) -> Result<Result<Batch, Failure>, CallError> {
        self.revive().await?;
        let Some(instance) = &mut self.instance else { return Err(CallError::Dead) };
        instance.poll(&self.parts.config, at, budget).await
    }

    /// Proves credentials and permission with the smallest real calls.
    ///
    /// # Errors
    ///
    /// The instance was lost.
    pub async fn probe(&mut self) -> Result<Result<Vec<Diagnostic>, Failure>, CallError> {
        self.revive().await?;
        let Some(instance) = &mut self.instance else { return Err(CallError::Dead) };
        instance.probe(&self.parts.config).await
    }

    /// Throws the instance away, and with it what it remembers: the token, an answer half read.
    pub fn discard_instance(&mut self) {
        self.instance = None;
    }

    /// Gives up what is large before a wait: an instance that grew beyond [`Limits::idle_memory_bytes`], or any where the
    /// machine cannot keep more of them.
    pub fn rest(&mut self) {
        let limit = self.parts.limits.idle_memory_bytes;
        let Some(instance) = &self.instance else { return };
        if instance.memory_bytes() > limit || self.component.engine().population().is_crowded() {
            self.discard_instance();
        }
    }

    /// How many instances there have been.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.instances
    }

    /// How many requests the last call made, refused ones included.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.instance.as_ref().map_or(0, Instance::requests)
    }

    /// What the service answered the last request of the last call with, where it put that off: with 408, 429 or 5xx.
    #[must_use]
    pub fn put_off(&self) -> Option<u16> {
        let status = self.instance.as_ref().and_then(Instance::status);
        status.filter(|status| matches!(status, 408 | 429 | 500..=599))
    }

    /// Why requests of the last call were refused.
    #[must_use]
    pub fn denials(&self) -> Vec<Denial> {
        self.instance.as_ref().map_or_else(Vec::new, Instance::denials)
    }

    /// Why a secret that a request of the last call should have carried was not there. The next call may find it.
    #[must_use]
    pub fn missing_secret(&self) -> Option<Denial> {
        self.instance.as_ref().and_then(Instance::missing_secret)
    }

    async fn revive(&mut self) -> Result<(), CallError> {
        if self.instance.as_ref().is_some_and(Instance::is_alive) {
            return Ok(());
        }
        self.instance = None;
        let SourceParts { transport, clock, limits, .. } = &self.parts;
        let (policy, transport, clock) = (Arc::clone(&self.policy), Arc::clone(transport), Arc::clone(clock));
        let vault = self.vault.clone();
        if let Some(vault) = &vault {
            vault.forget_tokens();
        }
        self.instance = Some(Instance::with_secrets(&self.component, policy, vault, transport, clock, limits).await?);
        self.instances += 1;
        Ok(())
    }
}

impl std::fmt::Debug for Source {
    // The configuration may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("component", &self.component)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

async fn pure_instance(component: &Component, limits: &Limits) -> Result<Instance, CallError> {
    let policy = Arc::new(Policy::deny_all());
    Instance::new(component, policy, Arc::new(NoTransport), Arc::new(SystemClock::default()), limits).await
}
