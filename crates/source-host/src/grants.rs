//! What the operator lets sources reach: a plan asks, this answers.

use std::fmt;

use crate::bindings::{AccessPlan, PlannedOrigin};
use crate::origin::{Origin, OriginError, Scheme};
use crate::policy::Policy;

/// Microsoft's sign-in and API hosts, in the commercial and the US government clouds.
const MICROSOFT: [&str; 8] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.windows.net",
    "login.microsoft.com",
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "api.security.microsoft.com",
];

/// Domains that are Microsoft's own as a whole.
const MICROSOFT_DOMAINS: [&str; 6] = [
    ".securitycenter.windows.com",
    ".securitycenter.windows.us",
    ".securitycenter.microsoft.com",
    ".securitycenter.microsoft.us",
    ".security.microsoft.com",
    ".security.microsoft.us",
];

/// What the operator lets sources reach.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    microsoft: bool,
    origins: Vec<Origin>,
}

/// A plan that asks for more than was granted.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// What was asked for and not granted, with what it is for.
    pub origins: Vec<(String, String)>,
    /// What is no origin at all, which no grant can allow.
    pub malformed: Vec<String>,
}

impl Refused {
    /// How to allow it: the line to add to the `[[source]]`.
    #[must_use]
    pub fn hint(&self) -> String {
        if self.origins.is_empty() {
            return "no grant allows that: the component or its configuration has to change".to_owned();
        }
        let mut list: Vec<String> = self.origins.iter().map(|(origin, _)| format!("{origin:?}")).collect();
        list.sort();
        list.dedup();
        format!("if you trust it with this source's credentials, add to the [[source]]: allow = [{}]", list.join(", "))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "the component plans to reach ";
        for (origin, purpose) in &self.origins {
            write!(f, "{separator}{origin} (for: {purpose})")?;
            separator = ", ";
        }
        if !self.origins.is_empty() {
            f.write_str(", which was not granted")?;
            separator = "; ";
        }
        for problem in &self.malformed {
            write!(f, "{separator}{problem}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Grants {
    /// Nothing at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The hosts of Microsoft's clouds, over TLS on port 443.
    #[must_use]
    pub fn microsoft() -> Self {
        Self { microsoft: true, origins: Vec::new() }
    }

    /// These as well.
    #[must_use]
    pub fn and(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.origins.extend(origins);
        self
    }

    /// Turns a plan into a policy.
    ///
    /// # Errors
    ///
    /// Everything that the plan asks for and that was not granted.
    pub fn review(&self, plan: &AccessPlan) -> Result<Policy, Refused> {
        let mut refused = Refused { origins: Vec::new(), malformed: Vec::new() };
        let mut accepted = Vec::new();
        for planned in &plan.origins {
            match parse(planned) {
                Ok(origin) if self.covers(&origin) => accepted.push(origin),
                Ok(origin) => refused.origins.push((origin.to_string(), planned.purpose.clone())),
                Err(error) => refused.malformed.push(error.to_string()),
            }
        }
        if refused.origins.is_empty() && refused.malformed.is_empty() { Ok(Policy::of(accepted)) } else { Err(refused) }
    }

    fn covers(&self, origin: &Origin) -> bool {
        self.origins.contains(origin) || (self.microsoft && is_microsoft(origin))
    }
}

fn parse(planned: &PlannedOrigin) -> Result<Origin, OriginError> {
    Origin::new(&planned.scheme, &planned.host, Some(planned.port))
}

fn is_microsoft(origin: &Origin) -> bool {
    let host = origin.host.as_str();
    // wdatp-alertexporter-eu.windows.com and its siblings have no domain of their own.
    let exporter = host.strip_suffix(".windows.com").is_some_and(|name| {
        name.strip_prefix("wdatp-alertexporter-").is_some_and(|region| !region.is_empty() && !region.contains('.'))
    });
    origin.scheme == Scheme::Https
        && origin.port == 443
        && (exporter || MICROSOFT.contains(&host) || MICROSOFT_DOMAINS.iter().any(|domain| host.ends_with(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(origins: &[&str]) -> AccessPlan {
        let planned = |text: &&str| {
            let origin: Origin = text.parse().unwrap();
            PlannedOrigin {
                scheme: origin.scheme.as_str().to_owned(),
                host: origin.host,
                port: origin.port,
                purpose: "api".to_owned(),
            }
        };
        AccessPlan {
            origins: origins.iter().map(planned).collect(),
            secrets: Vec::new(),
            identity: String::new(),
            accepts: Vec::new(),
            effective_config: "{}".to_owned(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn microsoft_s_own_hosts_are_granted_and_their_lookalikes_are_not() {
        let grants = Grants::microsoft();
        for host in [
            "login.microsoftonline.com",
            "login.microsoftonline.us",
            "wdatp-alertexporter-eu.windows.com",
            "wdatp-alertexporter-us.securitycenter.windows.com",
            "wdatp-alertexporter-us.gcc.securitycenter.windows.us",
            "api.securitycenter.microsoft.com",
        ] {
            assert!(grants.review(&plan(&[&format!("https://{host}")])).is_ok(), "{host}");
        }
        for other in [
            "https://login.microsoftonline.com:8443",
            "https://evil.windows.com",
            "https://wdatp-alertexporter-eu.windows.com.evil.example",
            "https://xlogin.microsoftonline.com",
            "https://wdatp-alertexporter-.windows.com",
        ] {
            assert!(grants.review(&plan(&[other])).is_err(), "{other}");
        }
    }

    #[test]
    fn a_refusal_names_the_line_to_add() {
        let refused = Grants::microsoft()
            .review(&plan(&["https://login.microsoftonline.com", "http://127.0.0.1:9", "https://siem.example"]))
            .unwrap_err();
        assert!(refused.to_string().contains("https://siem.example (for: api)"), "{refused}");
        assert!(
            refused.hint().contains(r#"allow = ["http://127.0.0.1:9", "https://siem.example"]"#),
            "{}",
            refused.hint()
        );
        let granted = refused.origins.iter().map(|(origin, _)| origin.parse().unwrap());
        assert!(Grants::none().and(granted).review(&plan(&["https://siem.example"])).is_ok());
    }
}
