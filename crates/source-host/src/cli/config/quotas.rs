//! The `[[quota]]` tables: requests that sources have together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use source_host::Quota;
use toml::Spanned;

use super::check::{Problems, wrong_name};
use super::explain::unknown;

/// The quotas by their names.
pub(crate) type Quotas = BTreeMap<String, Arc<Quota>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuota {
    name: Spanned<String>,
    per_minute: Spanned<u32>,
    per_hour: Option<Spanned<u32>>,
}

pub(super) fn quotas(raw: Vec<RawQuota>, problems: &mut Problems) -> Quotas {
    let mut quotas = Quotas::new();
    for RawQuota { name, per_minute, per_hour } in raw {
        let at = name.span();
        if let Some(message) = wrong_name(name.get_ref(), "quota") {
            problems.add(at.clone(), message);
        }
        for (member, raw) in [("per_minute", Some(&per_minute)), ("per_hour", per_hour.as_ref())] {
            if let Some(raw) = raw.filter(|raw| *raw.get_ref() < Quota::LEAST) {
                problems.add(
                    raw.span(),
                    format!(
                        "{member} = {} is too little: a poll needs at least {} requests, one for a token and one for an answer",
                        raw.get_ref(),
                        Quota::LEAST
                    ),
                );
            }
        }
        let per_minute = per_minute.into_inner();
        let per_hour = per_hour.map_or(per_minute.saturating_mul(60), Spanned::into_inner);
        let name = name.into_inner();
        if quotas.contains_key(&name) {
            problems.add(at, format!("there are two quotas of the name `{name}`"));
        }
        quotas.insert(name, Arc::new(Quota::new(per_minute, per_hour)));
    }
    quotas
}

pub(super) fn named(name: Option<Spanned<String>>, quotas: &Quotas, problems: &mut Problems) -> Option<Arc<Quota>> {
    let name = name?;
    let found = quotas.get(name.get_ref()).cloned();
    if found.is_none() {
        let known: Vec<&str> = quotas.keys().map(String::as_str).collect();
        problems.add(name.span(), unknown(&format!("no quota `{}`", name.get_ref()), name.get_ref(), &known));
    }
    found
}
