//! The secrets of one source while it runs, with where each may go.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::placeholder::Mint;
use super::token::Tokens;
use super::{Held, Misplanned, SecretSource, Secrets};
use crate::bindings::{AccessPlan, SecretPlace, SecretUse};
use crate::origin::Origin;
use crate::policy::Policy;

/// Members of an answer that are tokens, whatever the plan says of them.
const ALWAYS_CAPTURED: [&str; 2] = ["access_token", "refresh_token"];

/// The secrets of one source, filled into the requests that its plan names, and the tokens that they were exchanged for.
pub struct Vault {
    pub(super) mint: Mint,
    pub(super) secrets: Vec<Secret>,
    tokens: Mutex<Tokens>,
}

/// A secret with the uses that are planned for it.
pub(super) struct Secret {
    pub(super) pointer: String,
    pub(super) placeholder: String,
    pub(super) source: Arc<dyn SecretSource>,
    pub(super) uses: Vec<Use>,
}

/// One place where a secret goes, and what its answer holds.
pub(super) struct Use {
    pub(super) origin: Origin,
    pub(super) place: SecretPlace,
    pub(super) captures: Vec<String>,
    pub(super) bearer_at: Vec<Origin>,
}

impl Vault {
    pub(super) fn new(secrets: Secrets, plan: &AccessPlan, policy: &Policy) -> Result<Self, Misplanned> {
        let Secrets { mint, held } = secrets;
        let secret = |held: Held| {
            let Held { pointer, placeholder, source } = held;
            let uses = plan.secrets.iter().filter(|planned| planned.pointer == pointer);
            let uses: Vec<Use> = uses.map(|planned| Use::planned(planned, plan, policy)).collect::<Result<_, _>>()?;
            if uses.is_empty() {
                Err(Misplanned::Unused { pointer })
            } else {
                Ok(Secret { pointer, placeholder, source, uses })
            }
        };
        let secrets = held.into_iter().map(secret).collect::<Result<_, _>>()?;
        Ok(Self { mint, secrets, tokens: Mutex::default() })
    }

    /// Whether it holds no secret, so that there is nothing to fill in.
    pub(crate) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Its secrets that are tokens for the API themselves, of which a component sees nothing: the pointer, and the source.
    pub(crate) fn bearers(&self) -> Vec<(String, Arc<dyn SecretSource>)> {
        let is_bearer = |secret: &&Secret| secret.uses.iter().any(|planned| planned.place == SecretPlace::Bearer);
        let bearers = self.secrets.iter().filter(is_bearer);
        bearers.map(|secret| (secret.pointer.clone(), Arc::clone(&secret.source))).collect()
    }

    /// Forgets the tokens: a fresh instance has none of them.
    pub(crate) fn forget_tokens(&self) {
        self.tokens().clear();
    }

    // A thread that panicked between two tokens left both whole.
    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secret {
    /// The use of it in this place of a request to this origin, if one is planned.
    pub(super) fn planned_at(&self, origin: &Origin, is_place: impl Fn(&SecretPlace) -> bool) -> Option<&Use> {
        self.uses.iter().find(|planned| planned.origin == *origin && is_place(&planned.place))
    }
}

impl Use {
    fn planned(planned: &SecretUse, plan: &AccessPlan, policy: &Policy) -> Result<Self, Misplanned> {
        let pointer = || planned.pointer.clone();
        let granted = |index: &u32| {
            let named = usize::try_from(*index).ok().and_then(|index| plan.origins.get(index));
            let origin = named.and_then(|named| Origin::new(&named.scheme, &named.host, Some(named.port)).ok());
            let origin = origin.ok_or_else(|| Misplanned::NoOrigin { pointer: pointer() })?;
            if policy.origins().contains(&origin) {
                return Ok(origin);
            }
            Err(Misplanned::NotGranted { pointer: pointer(), origin: origin.to_string() })
        };
        let mut captures = planned.captures.clone();
        captures.extend(ALWAYS_CAPTURED.map(str::to_owned));
        Ok(Self {
            origin: granted(&planned.origin)?,
            place: planned.place.clone(),
            captures,
            bearer_at: planned.bearer_at.iter().map(granted).collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointers: Vec<&str> = self.secrets.iter().map(|secret| secret.pointer.as_str()).collect();
        f.debug_struct("Vault").field("secrets", &pointers).finish_non_exhaustive()
    }
}
