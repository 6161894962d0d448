//! An interaction without what was learnt from all of them.

use scenario::{Answer, Interaction, JsonBody, Pattern, RecordedBody, RecordedRequest, Response};

use super::json;
use super::sweep::Sweep;

pub(super) fn interaction(sweep: &Sweep, interaction: &mut Interaction) {
    text(sweep, &mut interaction.why);
    request(sweep, &mut interaction.request);
    if let Answer::Response(answer) = &mut interaction.answer {
        for (name, value) in &mut answer.headers {
            // No header is called as a secret is.
            debug_assert!(sweep.text(name).is_none());
            text(sweep, value);
        }
        let swept = body(sweep, &answer.body);
        replace_body(answer, swept);
    }
}

fn request(sweep: &Sweep, request: &mut RecordedRequest) {
    for part in [&mut request.origin, &mut request.path] {
        text(sweep, part);
    }
    members(sweep, &mut request.query);
    members(sweep, &mut request.headers);
    match &mut request.body {
        RecordedBody::Empty => {}
        RecordedBody::Form(form) => members(sweep, form),
        RecordedBody::Json(document) => json_body(sweep, document),
        RecordedBody::Text(whole) => pattern(sweep, whole),
        RecordedBody::Bytes(bytes) => *bytes = sweep.bytes(bytes).unwrap_or_else(|| std::mem::take(bytes)),
    }
}

fn members(sweep: &Sweep, members: &mut [(String, Pattern)]) {
    for (name, value) in members {
        text(sweep, name);
        pattern(sweep, value);
    }
}

fn pattern(sweep: &Sweep, pattern: &mut Pattern) {
    if let Pattern::Exact(value) | Pattern::Glob(value) = pattern {
        text(sweep, value);
    }
}

fn text(sweep: &Sweep, text: &mut String) {
    if let Some(swept) = sweep.text(text) {
        *text = swept;
    }
}

fn json_body(sweep: &Sweep, document: &mut JsonBody) {
    let swept = sweep.json(&document.value.to_string());
    // What was JSON still is: only texts were replaced.
    if let Ok(value) = serde_json::from_str(&swept) {
        document.value = value;
    }
    for (_, form) in &mut document.patterns {
        pattern(sweep, form);
    }
}

fn body(sweep: &Sweep, bytes: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(document) if json::is_json(document) => sweep.json(document).into_bytes(),
        _ => sweep.bytes(bytes).unwrap_or_else(|| bytes.to_vec()),
    }
}

/// Another body, and the length that goes with it: what the head says is as far from the truth as it was.
pub(super) fn replace_body(answer: &mut Response, body: Vec<u8>) {
    let (before, after) = (answer.body.len() as u64, body.len() as u64);
    for (_, value) in answer.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        if let Ok(length) = value.parse::<u64>() {
            *value = (length + after).saturating_sub(before).to_string();
        }
    }
    for end in [&mut answer.cut, &mut answer.stall].into_iter().flatten() {
        // It was broken off at its end, or stays where it was.
        *end = if *end as u64 == before { body.len() } else { (*end).min(body.len()) };
    }
    answer.body = body;
}
