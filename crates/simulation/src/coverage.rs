//! How often each rule of the pull engine and each fault of the service was met.

use std::fmt;

macro_rules! met {
    ($($group:literal { $($name:ident $what:literal)* })*) => {
        /// Something that a run may meet.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Met { $($($name,)*)* }

        /// Group and description of each, in the order of the variants.
        const NAMES: &[(&str, &str)] = &[$($(($group, $what),)*)*];
    };
}

met! {
    "1 visible time" { OldAlertTime "delivered, with an AlertTime days before its stamp" }
    "2 rounds" {
        Request "requests for detections"
        ManySlices "rounds of more than one slice"
        AtTheStart "delivered, stamped at the very start"
        TickBeforeTheStart "not delivered, stamped a tick before the start"
        OnSeam "delivered, stamped at the edge of a request's slice or a tick beside it"
    }
    "3 stamps" {
        ShortFraction "delivered, with fewer than seven digits in the stamp"
        NoZone "delivered, without a zone in the stamp"
    }
    "4 clocks" {
        SkewTold "notices that the clocks differ"
        ClockAhead "answers read while the local clock was ahead"
        ClockBehind "answers read while the local clock was behind"
        HoursAhead "answers read while the local clock was hours ahead"
        HoursBehind "answers read while the local clock was hours behind"
        JumpedAhead "requests after the local clock had jumped ahead"
        JumpedBack "requests after the local clock had jumped back"
        CursorHeldBack "the service's Date held the cursor back"
        NoDate "answers without Date"
    }
    "5 start" {
        StartNow "runs from now on"
        StartAgo "runs from so long ago"
        StartAt "runs from a time"
        StartRange "runs over a closed range"
        RangeEnded "ranges read to their end"
        FirstPollFailed "first polls that failed and fixed the start"
        Backfill "runs that began after all had happened"
    }
    "6 identity" {
        NoFullId "delivered without FullId"
        SharedAlert "delivered, of an alert that had delivered before"
        Tie "delivered, on the tick of another one"
        Burst "delivered, of a burst: ten and more within a second, where a minute has a fifth of them"
    }
    "7 ring" {
        Duplicate "rows that were known"
        OverlapShortened "gaps overlap-shortened"
        LateLostToShortOverlap "late ones lost in such a gap"
    }
    "8 odd records" {
        NoStamp "delivered without a stamp"
        OddMember "delivered with a member of a wrong type"
        NotAnObject "delivered though no object"
        Oversize "records that are too large, told as a gap"
    }
    "9 nothing known" {
        Ascending "answers, oldest first"
        Descending "answers, newest first"
        Shuffled "answers in no order"
        OpenSince "answers without what lies on their open lower bound"
        OpenUntil "answers without what lies on their open upper bound"
        ClosedSince "answers with what lies on their closed lower bound"
        ClosedUntil "answers with what lies on their closed upper bound"
        DuplicatedRow "rows that came twice in one answer"
    }
    "10 truncation" {
        LimitCut "answers that `limit` cut"
        Split "slices split because their answer was cut"
        CapCutNewest "answers that a hidden cap cut, the newest kept"
        CapCutOldest "answers that a hidden cap cut, the oldest kept"
        CapLearned "hidden caps found"
        ProvenWhole "large answers proven to be whole"
        WithoutLimit "one tick asked for without `limit`"
        Truncated "gaps truncated"
        LostToCap "detections in such a gap"
        CapNeverShown "detections beyond a cap that nothing showed: all of the answer on one tick"
    }
    "11 slice length" {
        Shorter "the slice length fell"
        Longer "the slice length grew"
        BudgetTooSmall "budgets refused as too small"
    }
    "12 overlap" {
        LateFound "delivered, late within the overlap"
        LateAsOverlap "delivered, exactly as late as the overlap allows"
        BeyondOverlap "later than the overlap allows, and lost"
        BeyondOverlapFound "later than the overlap allows, and delivered all the same"
    }
    "13 what keeps failing" {
        Poisoned "answers 500 for a range that always fails"
        Unreadable "gaps unreadable over a range"
        LostToPoison "detections in such a gap"
    }
    "14 pages" {
        FirstPage "answers in more than one page"
        LaterPage "pages that a link asked for"
        EmptyPage "pages without a row and with a link"
        LinkBefore "links before the rows"
        LinkAfter "links after the rows"
        LinkElsewhere "links to elsewhere"
        LinkAgain "links to the page that they are on"
        LinkRanOut "links that had run out"
        PageFailed "pages that could not be read"
        PageInLaterPoll "pages asked for by a later poll than the one before"
        CheckInPages "large answers in pages"
    }
    "15 checkpoints" {
        MidSlice "batches in the middle of an answer"
        Frozen "checkpoints with a frozen ring"
        FrozenResumed "fresh instances at a frozen checkpoint"
        Repeated "repeated after a frozen ring"
        Killed "kills"
        RepeatedAfterKill "repeated after a kill"
        Rewound "restarts at a checkpoint that was not the last"
    }
    "16 progress" {
        FreshPoll "polls on a fresh instance"
        KeptPoll "polls on a kept instance"
        Learned "failures that carried a checkpoint"
        QuietPoll "polls that found nothing"
    }
    "17 slow consumers" {
        SlowSink "deliveries that took minutes and longer"
        HeldAnswer "answers read on in a later poll"
        HeldAnswerBroke "answers that broke off between two polls"
    }
    "18 failures" {
        TokenRenewed "tokens asked for"
        TokenEnded "401 for a token whose life was over"
        TokenRevoked "401 in mid-run"
        Unauthenticated "told as unauthenticated"
        Forbidden "told as forbidden"
        Throttled "told as throttled"
        Unavailable "told as unavailable"
        Rejected "told as rejected"
        RetryAfterSeconds "Retry-After in seconds"
        RetryAfterDate "Retry-After as a date"
        Impatient "polls before a delay was over"
        FailureAfterBatch "failures told after the batch that was gathered before them"
    }
    "19 answers" {
        BareArray "bare arrays"
        Envelope "arrays in an envelope"
        LoneObject "single objects"
        Pretty "answers over several lines"
        NoContent "204"
        ByteByByte "answers in chunks of one byte"
        Html "HTML pages"
        ErrorObject "objects that are no detection"
        OtherStatus "other statuses"
    }
    "20 updates" {
        Update "versions delivered that are not the first one"
        Superseded "versions that were gone before they could be read"
        InBulk "delivered, stamped together with many others"
        RoundJudged "rounds at whose end all had come that could be read all the time"
        ByCreation "requests by the time of creation"
        SeenOnce "delivered once, and updated since"
        UnknownWord "delivered, with a word that nobody documents"
        LeftOutByFilter "left out by a filter at all times"
        TopCut "answers that `$top` cut"
        PageShortOfTop "pages shorter than `$top`, with a link"
        NoLink "answers of Microsoft Graph that `$top` cut, without a link"
        OrderRefused "refusals of `$orderby`"
        SpareLink "links behind the last row"
        Skipped "pages asked for by `$skip`"
        SkipRefused "refusals of a large `$skip`"
        Doubtful "pages by `$skip` without rows"
        GivenUpWhileChanging "gaps truncated over a tick that goes on changing"
        LeftBetweenPages "pages asked for when a row of those before had left"
        ShownAgain "pages that repeat a row of those before"
        PassAgain "ticks read again from the first page"
        ExpandFails "500 for whatever `$expand` asks for"
        ExpandBreaks "500 for what cannot be expanded"
        WithoutExpand "requests without `$expand`"
        TooLargeExpanded "delivered without what is expanded, with which they are too large"
        DeliveredBare "delivered without what `$expand` brings"
        BareTold "gaps partial for that"
        PartMissing "206"
        RowMissing "206 that lack a row"
        PartMissingTold "gaps partial for 206"
        FoundAfterMissing "delivered, that had been missing"
        LostToMissingPart "missing for longer than is waited for"
        QuotaKept "polls that waited for the quota"
        MinuteUsedUp "calls that used up the minute's quota"
        HourUsedUp "calls that used up the hour's quota"
        TakenOver "runs that begin with a checkpoint of the SIEM API"
        DeliveredAfterTakeOver "delivered by them, of before they began"
    }
    "21 what no document says" {
        PageShortInSilence "pages shorter than `$top`, without a link to the rest"
        TickInSilence "the same, of one tick"
        InCutMillisecond "delivered, off the whole millisecond at an end of a request, whose bounds are read no finer"
        SkipIgnored "first pages shown in place of the one that `$skip` asked for"
        ShortOfCalls "429 after a few calls in a row"
        PassedOver "last pages after which a row had not been shown, where the order changed"
        GivenUpUnsettled "gaps truncated over what came in another order each time"
    }
    "faults" {
        Timeout "timeouts"
        ConnectFailed "no connection"
        Reset "connections reset before an answer"
        TooLarge "answers that the host found too large"
        Status5xx "5xx"
        Streak "5xx within a streak"
        Status429 "429"
        Streak429 "429 within a streak"
        Streak401 "401 within a streak"
        Outage "requests during an outage"
        DayOutage "first answers after an outage of a day"
        BodyCut "bodies cut off by the end of the connection"
        BodyBroke "bodies cut off by an error"
        BodyStalled "bodies that stalled"
        Malformed "bodies with something that is no JSON in the middle"
        TokenRefused "token requests refused"
        TokenThrottled "token requests throttled"
        TokenBroken "token requests that failed or broke off"
        TokenGarbage "token answers that are none"
    }
}

/// Counts of everything that may be met.
#[derive(Clone, Debug)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: vec![0; NAMES.len()] }
    }
}

impl Coverage {
    pub(crate) fn add(&mut self, met: Met) {
        self.add_many(met, 1);
    }

    pub(crate) fn add_many(&mut self, met: Met, times: u64) {
        self.counts[met as usize] += times;
    }

    /// Adds what another run met.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What was never met.
    pub fn missing(&self) -> Vec<String> {
        let never = NAMES.iter().zip(&self.counts).filter(|(_, count)| **count == 0);
        never.map(|((group, what), _)| format!("{group}: {what}")).collect()
    }

    /// What of this was never met.
    pub(crate) fn missing_of(&self, wanted: &[Met]) -> Vec<String> {
        let never = wanted.iter().map(|met| *met as usize).filter(|met| self.counts[*met] == 0);
        never.map(|met| format!("{}: {}", NAMES[met].0, NAMES[met].1)).collect()
    }
}

/// A table: the rule, what of it was met, how often.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for ((group, what), count) in NAMES.iter().zip(&self.counts) {
            let shown = if *group == last { "" } else { group };
            last = group;
            writeln!(f, "{shown:<24}{count:>12}  {what}")?;
        }
        Ok(())
    }
}
