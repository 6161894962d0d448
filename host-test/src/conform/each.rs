//! What holds for each poll by itself.

use std::collections::BTreeSet;

use source_host::{Budget, Description, Failure, NextPoll, Position};

use super::law::Law;
use super::run::{Poll, Run, ident};
use super::verdict::Findings;

pub(super) fn check(run: &Run, description: &Description, findings: &mut Findings) {
    returns(run, findings);
    let mut delivered = BTreeSet::new();
    let mut asked_for: Option<Budget> = None;
    for poll in &run.polls {
        let place = run.place(poll);
        origins(poll, &place, findings);
        budget(poll, asked_for.as_ref(), &place, findings);
        asked_for = match &poll.answer {
            Err(Failure::BudgetTooSmall(least)) => Some(*least),
            _ => None,
        };
        let new = poll.events().iter().filter(|event| delivered.insert(ident(event))).count();
        progress(poll, new, &place, findings);
        promises(poll, description, &place, findings);
        if !poll.slept.is_zero() {
            findings.add(
                Law::NoSleep,
                place,
                format!(
                    "expected it to return at once, since every answer came at once; it waited for {:?}",
                    poll.slept
                ),
                "answer `after` in place of waiting: the host keeps time",
            );
        }
    }
}

fn returns(run: &Run, findings: &mut Findings) {
    if let Some((number, error)) = &run.lost {
        findings.add(
            Law::Returns,
            format!("poll {number} of {}", run.name),
            format!("expected a batch or a failure; {error}"),
            "answer a failure in place of a trap; after a lost instance the host goes on at the last stored checkpoint, so \
             a source that traps on the same answer again never gets on",
        );
    }
    if run.endless {
        findings.add(
            Law::Returns,
            &run.name,
            format!("expected an end; it was polled {} times", run.polls.len()),
            "give scenario.json a number of `polls`, or find out why the source never answers `after` or `ended`",
        );
    }
}

fn origins(poll: &Poll, place: &str, findings: &mut Findings) {
    for refused in &poll.refused {
        let hint = "name the origin in `plan`, or do not ask it: hosts refuse what is not planned";
        findings.add(Law::PlanOrigins, place, format!("expected planned origins only; {refused}"), hint);
    }
}

fn budget(poll: &Poll, asked_for: Option<&Budget>, place: &str, findings: &mut Findings) {
    let bytes: u64 = poll.events().iter().map(|event| event.body.as_bytes().len() as u64).sum();
    let given = &poll.budget;
    let used = [
        ("events", poll.events().len() as u64, u64::from(given.max_events)),
        ("bytes of bodies", bytes, given.max_bytes),
        ("requests", u64::from(poll.requests), u64::from(given.max_requests)),
    ];
    for (what, found, most) in used.into_iter().filter(|(_, found, most)| found > most) {
        let hint = "return early with `now`, or answer `budget-too-small` with the least that is needed";
        findings.add(Law::Budget, place, format!("expected at most {most} {what}, found {found}"), hint);
    }
    let Err(Failure::BudgetTooSmall(least)) = &poll.answer else { return };
    if !exceeds(least, given) {
        let found = format!(
            "expected `budget-too-small` to ask for more than it was given, which was {given:?}; it \
             asked for {least:?}"
        );
        findings.add(Law::Budget, place, found, "name the least budget with which the poll gets on");
    } else if let Some(least) = asked_for {
        let found = format!("expected it to get on with what it had asked for, {least:?}; it asks for more");
        findings.add(Law::Budget, place, found, "name everything that is needed at once");
    }
}

fn exceeds(least: &Budget, given: &Budget) -> bool {
    least.max_events > given.max_events
        || least.max_bytes > given.max_bytes
        || least.max_requests > given.max_requests
        || least.max_duration > given.max_duration
}

fn progress(poll: &Poll, new_events: usize, place: &str, findings: &mut Findings) {
    let Ok(batch) = &poll.answer else { return };
    let moved = !matches!(&poll.position, Position::Resume(Some(before)) if *before == batch.checkpoint);
    let delivered = poll.kept && (new_events > 0 || !batch.gaps.is_empty());
    if matches!(batch.next, NextPoll::Now) && !moved && !delivered {
        let found =
            "expected another checkpoint with `now`; it is the one that was given, and nothing new came with it";
        let hint = "move the checkpoint, or answer `after`: a host that polls again at once would do so for ever";
        findings.add(Law::Progress, place, found, hint);
    }
}

fn promises(poll: &Poll, description: &Description, place: &str, findings: &mut Findings) {
    let hint = "raise what `describe` promises, or keep to it: hosts reserve that much and refuse more";
    let (found, most) = (poll.checkpoint().map_or(0, str::len), description.max_checkpoint_bytes as usize);
    if found > most {
        let found = format!("expected a checkpoint of at most {most} bytes, found {found}");
        findings.add(Law::Promises, place, found, hint);
    }
    for event in poll.events() {
        let (found, most) = (event.body.as_bytes().len() as u64, description.max_event_bytes);
        if found > most {
            let found = format!("expected events of at most {most} bytes, found one of {found}: {}", event.key);
            findings.add(Law::Promises, place, found, hint);
        }
    }
}
