//! `describe` and `plan`, which ask nobody and depend on nothing.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use scenario::Scenario;
use source_host::{
    AccessPlan, CallError, Component, Description, Diagnostic, HttpError, Instance, Limits, Policy, Timeouts,
    Transport, WasiBody,
};

use super::law::Law;
use super::schema;
use super::secrets::Watch;
use super::verdict::Findings;
use crate::clock::VirtualClock;

/// Nothing is reached by it.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn send(&self, _: http::Request<WasiBody>, _: Timeouts) -> Result<http::Response<WasiBody>, HttpError> {
        Err(HttpError::HttpRequestDenied)
    }
}

/// An instance that reaches nothing, at this time.
pub(super) async fn instance(
    component: &Component,
    limits: &Limits,
    now: DateTime<Utc>,
) -> Result<Instance, CallError> {
    let clock = Arc::new(VirtualClock::starting_at(now));
    Instance::new(component, Arc::new(Policy::deny_all()), Arc::new(Nowhere), clock, limits).await
}

/// What the component says of itself and of the configuration, where there is anything to go on with.
pub(super) async fn check(
    scenario: &Scenario,
    component: &Component,
    limits: &Limits,
    findings: &mut Findings,
    watch: &mut Watch,
) -> Option<(Description, AccessPlan)> {
    let told = Told::of(scenario, component, limits).await;
    let told = match told {
        Ok(told) => told,
        Err(error) => {
            let hint = "`describe` and `plan` return whatever they are given";
            findings.add(Law::Returns, "before the first poll", format!("expected an answer; {error}"), hint);
            skip_all(findings, "`describe` and `plan` did not return");
            return None;
        }
    };
    told.describe(findings);
    let [description, ..] = told.descriptions;
    told.plans.iter().flatten().for_each(|plan| watch.learn(&scenario.config, &description, plan));
    let [plan, others @ ..] = &told.plans;
    let pure = "make the plan from the text of the configuration alone: no request, no clock, nothing remembered";
    for (other, which) in others.iter().zip(["asked again", "on a fresh instance, an hour later"]) {
        if other != plan {
            findings.add(Law::PlanPure, which, "expected the same plan as before, found another", pure);
        }
    }
    if told.requests > 0 {
        let found = format!("expected no request, found {}", told.requests);
        findings.add(Law::PlanPure, "while it planned", found, pure);
    }
    match plan {
        Ok(plan) => {
            watch.plan(plan, findings);
            Some((description, plan.clone()))
        }
        Err(problems) => {
            watch.problems("plan", problems, findings);
            refused(scenario, problems, findings);
            None
        }
    }
}

/// What it may reach by its plan.
pub(super) fn policy(plan: &AccessPlan, findings: &mut Findings) -> Policy {
    Policy::planned(plan).unwrap_or_else(|error| {
        let found = format!("expected origins; one is none: {error}");
        findings.add(Law::PlanOrigins, "the plan", found, "an origin is a scheme, a host and a port");
        Policy::deny_all()
    })
}

fn refused(scenario: &Scenario, problems: &[Diagnostic], findings: &mut Findings) {
    if scenario.expected.as_ref().is_some_and(|(_, value)| value.get("invalid-config").is_some()) {
        skip_all(findings, "the scenario is about a configuration that is refused");
        return;
    }
    let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    let found = format!("expected the source to take config.json; it refuses it: {}", told.join("; "));
    findings.add(Law::Recorded, "config.json", found, "use scenarios that were made for this source");
    skip_all(findings, "the source refuses config.json");
}

fn skip_all(findings: &mut Findings, reason: &str) {
    for law in Law::ALL {
        if !matches!(law, Law::Imports | Law::Described | Law::PlanPure | Law::Returns) {
            findings.skip(law, reason);
        }
    }
}

type Planned = Result<AccessPlan, Vec<Diagnostic>>;

struct Told {
    descriptions: [Description; 3],
    plans: [Planned; 3],
    requests: u32,
}

impl Told {
    /// Twice from one instance, and once from another at another time.
    async fn of(scenario: &Scenario, component: &Component, limits: &Limits) -> Result<Self, CallError> {
        let (now, config) = (scenario.settings.starts, scenario.config.as_str());
        let mut kept = instance(component, limits, now).await?;
        let mut fresh = instance(component, limits, now + TimeDelta::hours(1)).await?;
        let descriptions = [kept.describe().await?, kept.describe().await?, fresh.describe().await?];
        let mut requests = 0;
        let mut plans = Vec::new();
        for instance in [0, 0, 1] {
            let instance = if instance == 0 { &mut kept } else { &mut fresh };
            plans.push(instance.plan(config).await?);
            requests += instance.requests();
        }
        let [first, second, third] = [plans.remove(0), plans.remove(0), plans.remove(0)];
        Ok(Self { descriptions, plans: [first, second, third], requests })
    }

    fn describe(&self, findings: &mut Findings) {
        let [first, others @ ..] = &self.descriptions;
        if others.iter().any(|other| other != first) {
            let hint = "`describe` is pure: the same whatever came before";
            findings.add(Law::Described, "describe", "expected the same every time, found another", hint);
        }
        if !is_kebab_case(&first.name) {
            let found = format!("expected a name in kebab-case, found {:?}", first.name);
            findings.add(Law::Described, "describe", found, "use small letters, digits and single hyphens");
        }
        if !is_version(&first.version) {
            let found = format!("expected a semantic version, found {:?}", first.version);
            findings.add(Law::Described, "describe", found, "write one such as 1.2.3");
        }
        if let Err(error) = schema::read(&first.config_schema) {
            let found = format!("expected a JSON Schema in `config-schema`; {error}");
            findings.add(Law::Described, "describe", found, "write an object of JSON Schema 2020-12");
        }
    }
}

fn is_kebab_case(name: &str) -> bool {
    name.split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

fn is_version(version: &str) -> bool {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u64>().is_ok())
}
