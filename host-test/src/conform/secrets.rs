//! Looks for secrets in everything that leaves a source.

use scenario::{Canaries, Scenario};
use serde_json::Value;
use source_host::{AccessPlan, Description, Diagnostic};

use super::law::Law;
use super::run::Run;
use super::schema;
use super::verdict::Findings;

const HINT: &str =
    "this is a bug of the source: take it out, or put a fixed text in its place. It is not shown here again";

/// The secrets that are looked for.
pub(super) struct Watch {
    canaries: Canaries,
}

impl Watch {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self { canaries: scenario.canaries.clone() }
    }

    /// What the schema and the plan say is a secret is one as well.
    pub(super) fn learn(&mut self, config: &str, description: &Description, plan: &AccessPlan) {
        let Ok(config) = serde_json::from_str::<Value>(config) else { return };
        let schema = schema::read(&description.config_schema).unwrap_or_default();
        let marked = schema::secrets(&schema).map(|name| format!("/{name}"));
        for pointer in marked.chain(plan.secrets.iter().map(|secret| secret.pointer.clone())) {
            if let Some(Value::String(secret)) = config.pointer(&pointer) {
                self.canaries = self.canaries.clone().and(&format!("`{pointer}` of config.json"), secret);
            }
        }
    }

    pub(super) fn plan(&self, plan: &AccessPlan, findings: &mut Findings) {
        self.look("the plan", &format!("{plan:?}"), findings);
        self.look("`effective-config` of the plan", &plan.effective_config, findings);
    }

    pub(super) fn problems(&self, place: &str, problems: &[Diagnostic], findings: &mut Findings) {
        self.look(place, &format!("{problems:?}"), findings);
    }

    pub(super) fn run(&self, run: &Run, findings: &mut Findings) {
        for poll in &run.polls {
            let place = run.place(poll);
            self.look(&place, &format!("{:?}", poll.answer), findings);
            for event in poll.events() {
                self.look(&format!("an event of {place}"), &String::from_utf8_lossy(event.body.as_bytes()), findings);
            }
        }
        if let Some((number, error)) = &run.lost {
            self.look(&format!("the trap of poll {number} of {}", run.name), &error.to_string(), findings);
        }
    }

    fn look(&self, place: &str, text: &str, findings: &mut Findings) {
        if let Some(secret) = self.canaries.find(text.as_bytes()) {
            findings.add(Law::Secrets, place, format!("expected no secret; it shows {secret}"), HINT);
        }
    }

    /// What a person gets to see, without a secret.
    pub(super) fn hide(&self, text: &str) -> String {
        self.canaries.hide(text)
    }
}
