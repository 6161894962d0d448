//! What different runs have to agree on.

use std::collections::{BTreeMap, BTreeSet};

use source_host::{Batch, Event, Failure, Gap, Instant};

use super::law::Law;
use super::run::{Ident, Poll, Run, ident};
use super::verdict::Findings;

/// The same answers, poll by poll.
pub(super) fn same_bytes(first: &Run, again: &Run, findings: &mut Findings) {
    let hint = "what a poll returns may depend on its arguments, the answers and the wall clock: look for chunk boundaries, \
                the monotonic clock and the order of a map";
    if let Some((number, error)) = &again.lost {
        let found = format!("expected what the first run did; {error}");
        findings.add(Law::SameBytes, format!("poll {number} of {}", again.name), found, hint);
        return;
    }
    if let Some(mismatch) = again.mismatches.first() {
        findings.add(Law::SameBytes, &again.name, format!("expected the same requests; {mismatch}"), hint);
        return;
    }
    let polls = first.polls.len().max(again.polls.len());
    let differ = |index: &usize| first.polls.get(*index).map(essence) != again.polls.get(*index).map(essence);
    let Some(index) = (0..polls).find(differ) else { return };
    let place = format!("poll {} of {}", index + 1, again.name);
    let found = match (first.polls.get(index), again.polls.get(index)) {
        (Some(first), Some(again)) => difference(first, again),
        _ => format!("expected {} polls, found {}", first.polls.len(), again.polls.len()),
    };
    findings.add(Law::SameBytes, place, found, hint);
}

/// What has to be the same: the sentences of a failure may quote as much of an answer as had come.
fn essence(poll: &Poll) -> (Option<&Batch>, Option<String>) {
    (poll.answer.as_ref().ok(), poll.answer.as_ref().err().map(|failure| told(failure, poll.checkpoint())))
}

fn told(failure: &Failure, checkpoint: Option<&str>) -> String {
    let told = crate::convert::failure(failure).failure.unwrap_or_default();
    let checkpoint = checkpoint.map(|checkpoint| format!(", checkpoint {checkpoint}")).unwrap_or_default();
    format!("{} {} {:?}{checkpoint}", told.kind, told.code, told.after)
}

fn difference(first: &Poll, again: &Poll) -> String {
    let (Ok(expected), Ok(found)) = (&first.answer, &again.answer) else {
        let told = |poll: &Poll| essence(poll).1.unwrap_or_else(|| "a batch".to_owned());
        return format!("expected {} as in the first run, found {}", told(first), told(again));
    };
    let event = expected.events.iter().zip(&found.events).find(|(expected, found)| expected != found);
    if let Some((expected, _)) = event {
        return format!("expected the event {} as in the first run, found another", expected.key);
    }
    if expected.events.len() != found.events.len() {
        return format!("expected {} events as in the first run, found {}", expected.events.len(), found.events.len());
    }
    if expected.checkpoint != found.checkpoint {
        return "expected the checkpoint of the first run, found another".to_owned();
    }
    "expected the gaps, notices and counters of the first run, found others".to_owned()
}

/// The same things from a source that never remembers anything.
pub(super) fn same_things(first: &Run, fresh: &Run, findings: &mut Findings) {
    let hint = "keep in an instance only what makes the next call cheap; what decides belongs into the checkpoint";
    lost(first, &first.polls, fresh, (Law::Memory, hint), findings);
    foreign(first, fresh, (Law::Memory, hint), findings);
}

/// Everything after a checkpoint, from a run that began there.
pub(super) fn nothing_lost(first: &Run, after: u32, resumed: &Run, law: Law, findings: &mut Findings) {
    let hint = "a checkpoint may account for what the same batch delivers, and for nothing else";
    if let Some(poll) = resumed.polls.first()
        && let Err(failure @ (Failure::UnusableCheckpoint(_) | Failure::InvalidConfig(_))) = &poll.answer
        && first.polls.get(after as usize).is_none_or(|poll| poll.answer.is_ok())
        && after > 0
    {
        let found = format!("expected it to take its own checkpoint; it answered {}", kind(failure));
        findings.add(law, resumed.place(poll), found, hint);
        return;
    }
    lost(first, &first.polls[after as usize..], resumed, (law, hint), findings);
    foreign(first, resumed, (law, hint), findings);
}

fn kind(failure: &Failure) -> &'static str {
    crate::convert::failure(failure).failure.map_or("a failure", |told| told.kind)
}

/// What `polls` delivered and `run` did not, unless it says so.
fn lost(first: &Run, polls: &[Poll], run: &Run, (law, hint): (Law, &'static str), findings: &mut Findings) {
    let there = run.idents();
    let gaps: Vec<&Gap> = run.polls.iter().filter_map(|poll| poll.answer.as_ref().ok()).flat_map(|b| &b.gaps).collect();
    for poll in polls {
        let missing = poll
            .events()
            .iter()
            .find(|event| !there.contains(&ident(event)) && !gaps.iter().any(|gap| covers(gap, event)));
        let gap = poll.answer.iter().flat_map(|batch| &batch.gaps);
        let untold = gap.clone().find(|gap| !gaps.iter().any(|other| other.key == gap.key));
        let what = match (missing, untold) {
            (Some(event), _) => format!("the event {}", event.key),
            (None, Some(gap)) => format!("the gap {}", gap.key),
            (None, None) => continue,
        };
        let mut found = format!("expected {what}, which {} delivered; it did not come", first.place(poll));
        if let Some((number, error)) = &run.lost {
            found += &format!("\nits poll {number} was lost: {error}");
        }
        if let Some(mismatch) = run.mismatches.first() {
            found += &format!("\nits last request was not recorded: {mismatch}");
        }
        findings.add(law, &run.name, found, hint);
        return;
    }
}

/// What `run` delivered and the first run never did.
fn foreign(first: &Run, run: &Run, (law, hint): (Law, &'static str), findings: &mut Findings) {
    let known: BTreeSet<Ident> = first.idents();
    for poll in &run.polls {
        if let Some(event) = poll.events().iter().find(|event| !known.contains(&ident(event))) {
            let found = format!("expected what the first run delivered; the event {} is another", event.key);
            findings.add(law, run.place(poll), found, hint);
            return;
        }
    }
}

/// Whether a gap says that an event was not read.
fn covers(gap: &Gap, event: &Event) -> bool {
    let at = |instant: &Instant| (instant.seconds, instant.nanoseconds);
    let within = |visible: &Instant| at(&gap.since) <= at(visible) && at(visible) < at(&gap.until);
    gap.kind == event.kind
        && match &gap.subject {
            Some(subject) => *subject == event.subject,
            None => event.visible.as_ref().is_none_or(within),
        }
}

/// What makes a version of a thing, but for its key.
type Version<'a> = (&'a str, &'a str, Option<(i64, u32)>, &'a [u8]);

fn version(event: &Event) -> Version<'_> {
    let visible = event.visible.as_ref().map(|instant| (instant.seconds, instant.nanoseconds));
    (&event.kind, &event.subject, visible, event.body.as_bytes())
}

/// One key, one version, in all runs.
pub(super) fn keys(runs: &[&Run], findings: &mut Findings) {
    let hint =
        "make the key from what the service says of this version, and from nothing else: sinks tell repeats by it";
    let Some((first, others)) = runs.split_first() else { return };
    let mut keys: BTreeMap<Version<'_>, BTreeSet<&str>> = BTreeMap::new();
    let mut versions: BTreeMap<&str, Version<'_>> = BTreeMap::new();
    for poll in &first.polls {
        for event in poll.events() {
            keys.entry(version(event)).or_default().insert(&event.key);
        }
    }
    for run in std::iter::once(first).chain(others) {
        for poll in &run.polls {
            for event in poll.events() {
                if event.key.is_empty() {
                    findings.add(Law::Keys, run.place(poll), "expected a key; it is empty", hint);
                }
                if keys.get(&version(event)).is_some_and(|known| !known.contains(event.key.as_str())) {
                    let found = format!("expected the key of the first run for the same thing, found {}", event.key);
                    findings.add(Law::Keys, run.place(poll), found, hint);
                }
                if *versions.entry(&event.key).or_insert_with(|| version(event)) != version(event) {
                    let found = format!("expected one version under the key {}, found two", event.key);
                    findings.add(Law::Keys, run.place(poll), found, hint);
                }
            }
        }
    }
}
