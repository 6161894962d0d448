//! From a row to an event, and from what a poll gathered to a batch.

use twox_hash::XxHash64;

use crate::checkpoint::{Round, State};
use crate::config::Format;
use crate::contract::{Batch, Event, Failure, Gap, GapCause, Level, NextPoll, Payload};
use crate::csv;
use crate::progress::{Answer, Resolution};
use crate::ring::Ring;
use crate::row::{KeyedBy, Row, fingerprint};
use crate::tick::{TICKS_PER_SECOND, Tick};

use super::edges::Edges;
use super::{Ask, Held, Machine, Mode, Output, Phase, Purpose, loses_its_answer};

/// What became of a row.
pub(super) enum Taken {
    /// It was delivered, or needs not be.
    Done {
        /// Whether it had not been seen, and was delivered.
        is_new: bool,
    },
    /// The batch has no room for it.
    Held {
        /// How many bytes it takes.
        bytes: usize,
    },
}

/// Events of one slice that lack what `$expand` asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unexpanded {
    /// Where the slice begins.
    slice: Tick,
    since: Tick,
    until: Tick,
    events: u32,
}

impl Machine {
    /// Takes a row of an answer, whose ends `edges` keeps.
    pub(super) fn take_row(&mut self, ask: &Ask, row: Row, record: &[u8], edges: &mut Edges) -> Taken {
        if matches!(ask.purpose, Purpose::Neighbour | Purpose::Probe) {
            return Taken::Done { is_new: false };
        }
        self.poll.counters.rows += 1;
        // A check covers a part of the slice; every row of the slice that it shows is the slice's.
        let slice = self.slice().filter(|_| ask.purpose == Purpose::Check);
        let (since, until) = slice.map_or((ask.since, ask.until), |round| (round.at, round.end));
        let lies_inside = row.visible.is_some_and(|at| since <= at && at < until);
        let is_bounded = ask.purpose != Purpose::Single;
        // The tick on each side belongs to the neighbours, which ask for it as well where it is asked for at all.
        let is_shared = is_bounded && !self.config.protocol.updates_in_place();
        if is_shared && !lies_inside && row.visible.is_some_and(|at| since.minus(1) <= at && at <= until.plus(1)) {
            return Taken::Done { is_new: false };
        }
        // An answer holds what lies beside its slice, which before the start and behind the end of a closed range nobody asked for.
        let asked_for =
            self.state.as_ref().filter(|_| is_bounded && !is_shared).map(|state| (state.start, state.bound));
        if let (Some((start, bound)), Some(at)) = (asked_for, row.visible)
            && (at < start || bound.is_some_and(|bound| at >= bound))
        {
            return Taken::Done { is_new: false };
        }
        let at = row.visible.filter(|_| lies_inside || !is_bounded).unwrap_or(until);
        let fingerprint = fingerprint(&row.key(self.config.keyed_by(), record));
        if lies_inside {
            edges.see(at, fingerprint);
        }
        if self.suspect.as_ref().is_some_and(|suspect| suspect.edges.contain(fingerprint)) {
            self.poll.counters.duplicates += 1;
            return Taken::Done { is_new: false };
        }
        if let Some(state) = &mut self.state
            && state.ring.contains(fingerprint)
        {
            self.poll.counters.duplicates += 1;
            // It may come again as late as this, with another stamp than before or without a place in the slice.
            state.ring.move_up(fingerprint, at);
            return Taken::Done { is_new: false };
        }
        let event = self.event(row, record);
        // As CSV, where every quote is written twice, a record takes more bytes than the service sent.
        if event.body.as_bytes().len() > self.limits.event_bytes {
            self.leave_out(ask, XxHash64::oneshot(0, record));
            return Taken::Done { is_new: false };
        }
        if event.attributes.iter().any(|(name, _)| name == "defects") {
            self.poll.counters.odd += 1;
        }
        let bytes = event.body.as_bytes().len();
        let held = Held { event, fingerprint, at };
        if !self.poll.has_room_for(bytes) {
            self.held = Some(held);
            return Taken::Held { bytes };
        }
        self.deliver(held);
        Taken::Done { is_new: true }
    }

    /// Puts an event into the batch, and its key into the ring.
    pub(super) fn deliver(&mut self, held: Held) {
        if held.event.attributes.iter().any(|(name, _)| name == "without") {
            self.note_unexpanded(held.event.visible.unwrap_or(held.at));
        }
        self.remember(held.fingerprint, held.at);
        self.poll.push(held.event);
    }

    /// One more event without what `$expand` asks for, which counts at this tick: it may lie beside the slice.
    fn note_unexpanded(&mut self, at: Tick) {
        let Some(Round { at: since, end, .. }) = self.slice() else { return };
        if self.unexpanded.is_some_and(|before| before.slice != since) {
            self.tell_unexpanded();
        }
        let unexpanded = self.unexpanded.get_or_insert(Unexpanded { slice: since, since, until: end, events: 0 });
        unexpanded.since = unexpanded.since.min(at);
        unexpanded.until = unexpanded.until.max(end).max(at.plus(1));
        unexpanded.events += 1;
    }

    /// Tells which events came without what `$expand` asks for: in the batch that carries them, and of the slice as it was when
    /// they came, since a failure may have made it shorter by now, and another instance may close it.
    fn tell_unexpanded(&mut self) {
        let (Some(Unexpanded { since, until, events, .. }), Some(expand)) =
            (self.unexpanded.take(), self.config.expanded())
        else {
            return;
        };
        let (events, their) =
            if events == 1 { ("1 event".to_owned(), "its") } else { (format!("{events} events"), "their") };
        let detail = format!(
            "with `$expand={expand}` the service fails here or a record is too large, so {events} came without {their} \
             {expand}"
        );
        self.tell_gap(GapCause::Partial, since, until, detail);
    }

    /// Tells a gap, by its cause and its range.
    pub(super) fn tell_gap(&mut self, cause: GapCause, since: Tick, until: Tick, detail: String) {
        let key = gap_key(&cause, since, until);
        let kind = self.config.protocol.kind;
        self.poll.gaps.push(Gap { key, kind, since, until, cause, subject: None, detail });
    }

    /// The slice is left behind, and a gap tells of it: once, though the overlap brings it again.
    pub(super) fn give_up_range(&mut self, cause: GapCause, detail: String) {
        let Some(Round { at, end, .. }) = self.slice() else { return };
        let told = fingerprint(&gap_key(&cause, at, end));
        if !self.remembers(told) {
            self.tell_gap(cause, at, end, detail);
            self.remember(told, end.minus(1));
        }
        self.leave_slice(State::pass_over);
    }

    fn event(&self, mut row: Row, record: &[u8]) -> Event {
        let mut defects = Vec::new();
        if !row.is_object {
            defects.push("not-an-object");
        } else if row.is_odd {
            defects.push("odd-member");
        }
        let keyed_by = self.config.keyed_by();
        if !row.has_key(keyed_by) {
            defects.push("no-key");
        }
        if row.visible.is_none() {
            defects.push("no-stamp");
        }
        let mut attributes = Vec::new();
        if !defects.is_empty() {
            attributes.push(("defects".to_owned(), defects.join(",")));
        }
        if let Some(expand) = self.left_out() {
            attributes.push(("without".to_owned(), expand.to_owned()));
        }
        let key = match keyed_by {
            KeyedBy::FullId => row.full_id.take(),
            KeyedBy::Version | KeyedBy::Id => None,
        };
        let key = key.unwrap_or_else(|| row.key(keyed_by, record).into_owned());
        let (content_type, body) = match self.config.format {
            Format::Raw => ("application/json", Payload::of(record)),
            Format::Csv => {
                attributes.push(("csv-header".to_owned(), csv::HEADER.to_owned()));
                ("text/csv; header=absent", Payload::Text(csv::row(record)))
            }
        };
        let subject = row.id.unwrap_or_else(|| key.clone());
        Event {
            key,
            subject,
            kind: self.config.protocol.kind,
            occurred: row.occurred,
            visible: row.visible,
            content_type,
            body,
            attributes,
        }
    }

    /// What `$expand` would bring, where it is left out.
    fn left_out(&self) -> Option<&'static str> {
        let is_plain = self.state.as_ref().is_some_and(|state| state.plain);
        self.config.expanded().filter(|_| is_plain)
    }

    /// Takes a record that is too large, by the hash of its bytes.
    pub(super) fn take_oversize(&mut self, ask: &Ask, hash: u64) {
        if matches!(ask.purpose, Purpose::Neighbour | Purpose::Probe) {
            return;
        }
        self.poll.counters.rows += 1;
        if self.config.expanded().is_some() && self.left_out().is_none() && !self.is_left_out(hash) {
            // Without what is expanded it may be small enough: the slice is asked for again.
            self.too_large.push(hash);
            return;
        }
        self.leave_out(ask, hash);
    }

    /// Whether a record of this hash was told of, or came without what was expanded.
    fn is_left_out(&self, hash: u64) -> bool {
        self.remembers(fingerprint(&left_out_key(hash)))
    }

    /// Has the slice asked for again without `$expand` where a record is too large with it; false where none is, or that was
    /// done.
    pub(super) fn ask_without_expand(&mut self, answer: &Answer) -> bool {
        if self.too_large.is_empty() {
            return false;
        }
        let Some(state) = &mut self.state else { return false };
        let Some(round) = state.round else { return false };
        let was_plain = std::mem::replace(&mut state.plain, true);
        let whole = std::mem::take(&mut self.too_large);
        if !was_plain {
            self.drop_follow_ups();
            self.too_large = whole;
            return true;
        }
        // It may be in the part that was missing.
        if answer.is_partial {
            return false;
        }
        // Now that it came, or a gap tells of it, the whole record is not looked at again.
        for hash in whole {
            self.remember(fingerprint(&left_out_key(hash)), round.end.minus(1));
        }
        false
    }

    /// A record that is too large is a gap, told once.
    fn leave_out(&mut self, ask: &Ask, hash: u64) {
        let key = left_out_key(hash);
        let fingerprint = fingerprint(&key);
        if self.remembers(fingerprint) {
            self.poll.counters.duplicates += 1;
            return;
        }
        self.remember(fingerprint, ask.until);
        let (before, behind) = self.margins(ask);
        self.poll.gaps.push(Gap {
            key,
            kind: self.config.protocol.kind,
            // Its stamp is not known: it may be one of those on each side, which the neighbours' requests repeat.
            since: ask.since.minus(before),
            until: ask.until.plus(behind + 1),
            cause: GapCause::Unreadable,
            subject: None,
            detail: format!("one record of this range is larger than {} bytes", self.limits.event_bytes),
        });
    }

    /// Whether the ring holds a key.
    pub(super) fn remembers(&self, fingerprint: u64) -> bool {
        self.state.as_ref().is_some_and(|state| state.ring.contains(fingerprint))
    }

    /// Puts a key into the ring, making room for it.
    pub(super) fn remember(&mut self, fingerprint: u64, at: Tick) {
        let capacity = self.ring_bytes();
        while let Some(state) = &self.state
            && state.ring.encoded_bytes() + Ring::KEY_BYTES > capacity
            && let Some((_, ends)) = state.ring.oldest()
        {
            self.make_room(ends);
        }
        if let Some(state) = &mut self.state {
            state.ring.insert(fingerprint, at);
        }
    }

    /// Forgets the oldest minute. Before the present slice that shortens the overlap; in it, the checkpoint freezes.
    fn make_room(&mut self, ends: Tick) {
        let Some(state) = &mut self.state else { return };
        let slice_begins = state.round.map_or(Tick::MIN, |round| round.at);
        if ends <= slice_begins {
            let since = state.reread;
            state.ring.forget_before(ends);
            if since < ends {
                state.reread = ends;
                self.shorten_overlap(since, ends);
            }
            return;
        }
        if !state.frozen {
            state.frozen = true;
            self.frozen = Some(state.to_text());
        }
        state.ring.forget_before(ends);
        self.forgot_until = self.forgot_until.max(Some(ends));
    }

    /// What the slice left in the ring is not all of it: what is missing there is not read again.
    pub(super) fn close_frozen_slice(&mut self, slice_until: Tick) {
        self.frozen = None;
        let forgot = self.forgot_until.take();
        let Some(state) = &mut self.state else { return };
        if let Some(forgot) = forgot.map(|forgot| forgot.min(slice_until))
            && forgot > state.reread
        {
            let since = state.reread;
            state.reread = forgot;
            self.shorten_overlap(since, forgot);
        }
    }

    fn shorten_overlap(&mut self, since: Tick, until: Tick) {
        let detail = format!(
            "more {} came than the checkpoint can remember, so nothing from {since} to {until} is read again: one that the \
             service shows late is missed there",
            self.config.protocol.things
        );
        self.poll.note(
            Level::Warning,
            "overlap.shortened",
            detail.clone(),
            Some("a shorter `overlap` needs less room"),
        );
        self.tell_gap(GapCause::Other("overlap-shortened"), since, until, detail);
    }

    /// A fresh instance reads on from a frozen checkpoint: the older half of the slice, whose keys fit.
    pub(super) fn thaw(&mut self, state: &mut State) {
        if !state.frozen {
            return;
        }
        state.frozen = false;
        if !state.halve(Resolution::of(&self.config)) {
            // It is too short for that: the keys of the minutes after it make room for its own, and their rows may
            // come again. Without that a fresh instance would deliver the same rows at every poll.
            if let Some(round) = state.round {
                state.ring.forget_from(round.end.plus(60 * TICKS_PER_SECOND));
            }
            return;
        }
        if let Some(round) = state.round
            && let Some(first) = state.ring.forget_from(round.end)
            && first < round.at
            && state.reread < round.at
        {
            // The minute of the seam held keys of what was read before: that cannot be read again without repeats.
            self.shorten_overlap(state.reread, round.at);
            state.reread = round.at;
        }
    }

    /// Ends the poll with what it has gathered.
    pub(super) fn finish(&mut self, next: NextPoll) -> Output {
        self.tell_unexpanded();
        let mut text = self.checkpoint_text();
        // A fresh instance at the same checkpoint would do the same again: ask for less.
        if next == NextPoll::Now && !self.poll.has_output() && self.last.as_deref() == Some(&text) {
            if !self.ask_for_less() {
                return Output::Done(Err(Failure::BudgetTooSmall(self.poll.larger_budget())));
            }
            text = self.checkpoint_text();
        }
        self.last = Some(text.clone());
        let watermark = self.state.as_ref().and_then(|state| state.watermark);
        Output::Done(Ok(Batch {
            events: std::mem::take(&mut self.poll.events),
            gaps: std::mem::take(&mut self.poll.gaps),
            checkpoint: text,
            next,
            watermark,
            notices: std::mem::take(&mut self.poll.notices),
            counters: self.poll.counters.take(),
        }))
    }

    /// The checkpoint as it stands.
    pub(super) fn checkpoint_text(&self) -> String {
        match (&self.frozen, &self.state) {
            (Some(frozen), _) => frozen.clone(),
            (None, Some(state)) => state.to_text(),
            (None, None) => String::new(),
        }
    }

    /// Drops the answer and halves its slice; false where that is not possible.
    pub(super) fn ask_for_less(&mut self) -> bool {
        if !matches!(self.mode, Mode::Running { .. }) {
            return false;
        }
        let was_frozen = self.drop_answer();
        was_frozen || self.halve()
    }

    /// Gives up the answer that is being read, and says whether the checkpoint was frozen: then reading goes on from
    /// there, since the ring has lost keys of the slice.
    pub(super) fn drop_answer(&mut self) -> bool {
        if let (Some(request), Some(state)) = (&self.config.request, &self.state) {
            self.lost_answer = loses_its_answer(request, state, self.frozen.is_some());
        }
        self.phase = Phase::Idle;
        self.drop_follow_ups();
        self.pages = None;
        self.forgot_until = None;
        let Some(frozen) = self.frozen.take() else { return false };
        if let Ok(mut state) = State::from_text(&frozen, &self.config.identity()) {
            self.thaw(&mut state);
            self.state = Some(state);
        }
        true
    }
}

/// What tells a gap from others, by its cause and its range.
fn gap_key(cause: &GapCause, since: Tick, until: Tick) -> String {
    format!("gap:{}:{since}:{until}", cause.name())
}

/// The key of a gap that stands for a record of this hash.
fn left_out_key(hash: u64) -> String {
    format!("gap:unreadable:{hash:016x}")
}
