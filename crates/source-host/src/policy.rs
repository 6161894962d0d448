//! Which requests leave the machine: those to the origins that the operator accepted.

use std::fmt;

use crate::bindings::AccessPlan;
use crate::origin::{Origin, OriginError};

/// The origins that one source may reach. Everything else is refused, request by request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    origins: Vec<Origin>,
}

/// Why a request did not leave the machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denial {
    /// Which rule refused what, in a sentence.
    pub reason: String,
    /// How to allow it, where that is up to the operator.
    pub hint: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Policy {
    /// Nothing is allowed: for `describe` and `plan`, which are pure.
    #[must_use]
    pub fn deny_all() -> Self {
        Self::default()
    }

    /// These origins and no others.
    #[must_use]
    pub fn of(origins: Vec<Origin>) -> Self {
        Self { origins }
    }

    /// Everything that a plan names, whoever's hosts they are: for a transport that never reaches the network.
    ///
    /// # Errors
    ///
    /// The plan names what is no origin.
    pub fn planned(plan: &AccessPlan) -> Result<Self, OriginError> {
        let origins = plan.origins.iter().map(|origin| Origin::new(&origin.scheme, &origin.host, Some(origin.port)));
        Ok(Self { origins: origins.collect::<Result<_, _>>()? })
    }

    /// What is allowed.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether a request to this URL may leave.
    ///
    /// # Errors
    ///
    /// The rule that refuses it.
    pub fn check(&self, uri: &http::Uri) -> Result<(), Denial> {
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(Denial { reason: "a URL with a user name in it is never sent".to_owned(), hint: None });
        }
        let origin = Origin::new(uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default(), uri.port_u16())
            .map_err(|error| Denial { reason: error.to_string(), hint: None })?;
        // What is left of the authority is a port, or something that reads as none.
        if uri.port_u16().is_none() && uri.host() != Some(authority) {
            return Err(Denial { reason: format!("the port in {authority} is none"), hint: None });
        }
        if self.origins.contains(&origin) {
            return Ok(());
        }
        Err(Denial {
            reason: format!("{origin} is not among the origins of this source's plan"),
            hint: Some(format!(
                "the plan allows {}; a component that needs more has to name it in its plan",
                Listed(&self.origins)
            )),
        })
    }
}

struct Listed<'a>(&'a [Origin]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, origin) in self.0.iter().enumerate() {
            write!(f, "{}{origin}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str]) -> Policy {
        Policy::of(origins.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn scheme_host_and_port_all_have_to_match() {
        let policy = policy(&["https://api.example.com", "http://127.0.0.1:8080"]);
        for allowed in ["https://api.example.com/a?b", "https://API.example.com:443/", "http://127.0.0.1:8080/x"] {
            assert_eq!(policy.check(&allowed.parse().unwrap()), Ok(()), "{allowed}");
        }
        for refused in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://api.example.com.evil.example/",
            "https://evil.example/api.example.com",
            "https://user@api.example.com/",
            "https://api.example.com./",
            "http://127.0.0.1/",
            "http://2130706433:8080/",
            "/relative",
        ] {
            assert!(policy.check(&refused.parse().unwrap()).is_err(), "{refused}");
        }
    }
}
