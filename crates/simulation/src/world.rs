//! Everything that a seed decides: the configuration, the history, what goes wrong, and how the host behaves.

use defender_core::Limits;
use defender_core::checkpoint::{HEADER_BYTES, State};
use defender_core::config::Config;
use defender_core::ring::Ring;
use defender_core::tick::{TICKS_PER_SECOND, Tick, Ticks};

use crate::api::Api;
use crate::history::{HistoryPlan, Item, ORIGIN, history};
use crate::random::Random;
use crate::updates::updated;

mod quirks;
mod updating;

pub(crate) use quirks::{Quirks, Unsettled};
use updating::Updating;

pub(crate) const MILLISECOND: Ticks = TICKS_PER_SECOND / 1000;
pub(crate) const MINUTE: Ticks = 60 * TICKS_PER_SECOND;
pub(crate) const HOUR: Ticks = 60 * MINUTE;
pub(crate) const DAY: Ticks = 24 * HOUR;

/// What the configuration of the SIEM API says of it, as members of JSON.
const SIEM: &str = "\"api\":\"siem\",\"region\":\"eu\"";

/// How many worlds in a thousand have a range that always fails.
const POISON: u64 = 100;

/// One world.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) api: Api,
    /// Whether a thing counts once, and by when it came to be.
    pub(crate) is_first_seen: bool,
    /// Where a source of the SIEM API stood, whose place this one takes.
    pub(crate) takes_over: Option<Tick>,
    /// The configuration of the source.
    pub(crate) config: String,
    pub(crate) limits: Limits,
    pub(crate) overlap: Ticks,
    pub(crate) start: StartsAt,
    /// When the host begins to poll, on the service's clock.
    pub(crate) begins: Tick,
    /// What has to be delivered, by stamp.
    pub(crate) history: Vec<Item>,
    /// From when on nothing goes wrong any more but what is wrong for ever.
    pub(crate) quiet_from: Tick,
    /// The jumps of the local clock.
    pub(crate) jumps: Vec<(Tick, Ticks)>,
    pub(crate) service: ServiceHabits,
    pub(crate) host: HostHabits,
}

/// Where the source begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartsAt {
    Now,
    Ago(Ticks),
    At(Tick),
    Range(Tick, Tick),
}

/// How the service behaves.
#[derive(Clone, Debug)]
pub(crate) struct ServiceHabits {
    pub(crate) since_is_open: bool,
    pub(crate) until_is_open: bool,
    pub(crate) order: Order,
    /// The cap that nobody asked for.
    pub(crate) cap: Option<Cap>,
    /// How many rows in a thousand come twice.
    pub(crate) twice: u64,
    /// How many answers in a thousand lack `Date`.
    pub(crate) no_date: u64,
    /// How many requests in a thousand meet a fault, and which ones.
    pub(crate) fault_rate: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) token_fault_rate: u64,
    pub(crate) windows: Vec<Window>,
    /// Ranges whose requests always fail, first and last tick.
    pub(crate) poison: Vec<(Tick, Tick)>,
    /// How long a token says that it lives and does live, in seconds.
    pub(crate) token_life: (u64, i64),
    /// Seconds that one request takes.
    pub(crate) latency: i64,
    /// The largest chunk, in bytes.
    pub(crate) chunk: usize,
    pub(crate) enveloped: u64,
    /// How many rows a page of an answer holds, where it comes in pages.
    pub(crate) page: Option<usize>,
    /// How many links in a thousand lead nowhere.
    pub(crate) bad_links: u64,
    /// How many links in a thousand have run out by the time that they are followed.
    pub(crate) expired_links: u64,
    pub(crate) pretty: bool,
    /// How long an answer may be held before it breaks off.
    pub(crate) patience: Ticks,
    /// What an API does beside whose things are updated in place.
    pub(crate) updated: UpdatedHabits,
}

/// How an API behaves whose things are updated in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpdatedHabits {
    pub(crate) links: LinkKind,
    /// Whether a full last page has a link as well.
    pub(crate) spare_link: bool,
    /// Whether `$orderby` is refused.
    pub(crate) refuses_order: bool,
    /// The largest `$skip`.
    pub(crate) most_skip: Option<usize>,
    /// When `$expand` fails, whatever is asked for.
    pub(crate) expand_fails: Vec<(Tick, Tick)>,
    pub(crate) missing: Option<Missing>,
    /// What it does, and no document says.
    pub(crate) quirks: Quirks,
}

/// What a link to a further page goes by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum LinkKind {
    /// How many rows there were before.
    #[default]
    Skip,
    /// The last row before.
    After,
    /// There is none.
    None,
}

/// A time in which answers lack the things of one product, and say so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    pub(crate) from: Tick,
    pub(crate) until: Tick,
    pub(crate) source: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    Ascending,
    Descending,
    Shuffled,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    pub(crate) rows: usize,
    pub(crate) keeps_newest: bool,
}

/// What may go wrong with one request for detections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Timeout,
    Connect,
    Dns,
    Reset,
    TooLarge,
    Failed,
    Throttled,
    Revoked,
    Forbidden,
    Html,
    ErrorObject,
    OtherStatus,
    Cut,
    Broken,
    Stalled,
    Malformed,
}

const FAULTS: &[Fault] = &[
    Fault::Timeout,
    Fault::Connect,
    Fault::Dns,
    Fault::Reset,
    Fault::TooLarge,
    Fault::Failed,
    Fault::Throttled,
    Fault::Revoked,
    Fault::Forbidden,
    Fault::Html,
    Fault::ErrorObject,
    Fault::OtherStatus,
    Fault::Cut,
    Fault::Broken,
    Fault::Stalled,
    Fault::Malformed,
];

/// A time in which every request meets the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Tick,
    pub(crate) until: Tick,
    pub(crate) what: Trouble,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    NoConnection,
    Failing,
    Slow,
    Throttling,
    Refusing,
}

/// How the host behaves.
#[derive(Clone, Debug)]
pub(crate) struct HostHabits {
    /// How many polls in a thousand are on a fresh instance, and whether it is handed the token.
    pub(crate) fresh: u64,
    pub(crate) hands_tokens_on: bool,
    /// How many steps in ten thousand kill it.
    pub(crate) kill: u64,
    /// How many batches in a thousand are followed by a store.
    pub(crate) store: u64,
    /// How many delays in a thousand are not waited for.
    pub(crate) impatient: u64,
    /// How many deliveries in a thousand take minutes and longer.
    pub(crate) slow_sink: u64,
    pub(crate) max_events: Vec<u32>,
    pub(crate) max_bytes: Vec<u64>,
    pub(crate) max_requests: Vec<u32>,
    pub(crate) max_duration: Vec<u64>,
}

impl World {
    /// The world of a seed, for an API.
    pub(crate) fn of(api: Api, seed: u64) -> Self {
        Self::made(api, seed, false)
    }

    /// The world of a seed for a source whose limits are those that it is shipped with, and which has an instance's memory
    /// alone to keep a token in.
    pub(crate) fn with_default_limits(api: Api, seed: u64) -> Self {
        Self::made(api, seed, true)
    }

    fn made(api: Api, seed: u64, has_default_limits: bool) -> Self {
        let mut random = Random::new(seed);
        let origin = Tick::parse(ORIGIN).unwrap_or_default();
        let length = random.between(1, 8) * HOUR;
        let from = origin.plus(random.pick(&[0, 0, 90 * MINUTE, 12_345_678_901]));
        let overlap = random.pick(&[0, 5 * MINUTE, 30 * MINUTE, HOUR, HOUR, 3 * HOUR]);
        let settle = random.pick(&[0, 10 * TICKS_PER_SECOND, MINUTE, MINUTE, 5 * MINUTE]);
        let slice = random.pick(&[MINUTE, 10 * MINUTE, HOUR, HOUR, 6 * HOUR]);
        // A minute at a time would take ten thousands of polls otherwise.
        let overlap = if slice == MINUTE { overlap.min(5 * MINUTE) } else { overlap };
        let interval = random.pick(&[MINUTE, 5 * MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR]);
        // Minutes one after the other, each minute anew, are more calls than some of the other APIs allow.
        let slice = if api != Api::Siem && interval == MINUTE { slice.max(10 * MINUTE) } else { slice };
        let is_calm = random.chance(150);

        let mut suspicious_rows = random.pick(&[5, 10, 20, 1000]);
        if has_default_limits {
            suspicious_rows = 1000;
        }
        let cap = (suspicious_rows < 1000 && random.chance(350))
            .then(|| Cap { rows: suspicious_rows as usize + random.index(15), keeps_newest: random.chance(700) });
        let limit = random.chance(300).then(|| random.pick(&[2, 3, 5, 10, 40]));
        let ring_is_small = random.chance(200) && !has_default_limits;
        let event_bytes = if random.chance(200) && !has_default_limits { 1500 } else { defender_core::MAX_EVENT_BYTES };
        let limits = Limits {
            checkpoint_bytes: if ring_is_small { HEADER_BYTES + random.pick(&[400, 700, 1500]) } else { 256 * 1024 },
            event_bytes,
            suspicious_rows,
        };

        let begins = from.plus(match random.below(4) {
            0 => 0,
            1 => random.between(0, length / TICKS_PER_SECOND) * TICKS_PER_SECOND,
            2 => length + HOUR,
            _ => length + 26 * HOUR,
        });
        let start = match random.below(6) {
            0 => StartsAt::Now,
            1 => StartsAt::Ago(random.pick(&[TICKS_PER_SECOND, 10 * MINUTE, 2 * HOUR, 30 * HOUR])),
            2 => StartsAt::At(from.plus(random.between(0, length / MINUTE) * MINUTE)),
            3 => {
                let since = from.plus(random.between(0, length / MINUTE - 1) * MINUTE);
                StartsAt::Range(since, since.plus(random.between(1, length / MINUTE) * MINUTE + random.between(-1, 1)))
            }
            _ => StartsAt::At(from.minus(HOUR)),
        };
        let plan = HistoryPlan {
            from,
            length,
            count: random.pick(&[8, 30, 60, 60, 120, 240]),
            overlap,
            late: random.pick(&[0, 100, 400]),
            too_late: random.pick(&[0, 0, 100]),
            odd: random.pick(&[0, 100, 500]),
            oversize: (event_bytes < 10_000).then_some((30, event_bytes)),
            most_on_tick: random.pick(&[1, 4, 12, 40]),
            pretty: random.chance(300),
        };
        let history = history(&plan, &mut random);
        // Of their own, so that what the other decisions make of a seed stays as it was.
        let updating = api.facts().map(|facts| {
            let quirks = Quirks::decide(facts, &limits, &mut Random::new(seed ^ 0x0DD5));
            Updating::decide(api, facts, &plan, quirks, (settle, interval), &mut Random::new(seed ^ 0xDA7A))
        });
        let history =
            updating.as_ref().map_or(history, |updating| updated(&updating.plan, &mut Random::new(seed ^ 0xA1E7)));
        let start = match &updating {
            Some(updating) if updating.quirks.is_coarse => {
                quirks::within_a_millisecond(start, &history, &mut Random::new(seed ^ 0x0DD6))
            }
            _ => start,
        };
        // What changes while it is read is of interest.
        let begins = if updating.as_ref().is_some_and(Updating::is_live) { from } else { begins };
        // One tick of more things than the ring holds cannot be accounted for by instances that come and go.
        let bulk = updating.as_ref().and_then(|updating| updating.plan.bulk).unwrap_or(0);
        let limits = Limits {
            checkpoint_bytes: limits.checkpoint_bytes.max(HEADER_BYTES + (bulk + 10) * Ring::KEY_BYTES),
            ..limits
        };
        let quiet_from = begins.max(from.plus(length)).plus(HOUR);
        let (mut service, jumps) =
            trouble(begins, quiet_from, slice, is_calm, cap, limit.is_some(), &plan, &history, &mut random);
        let mut paging = Random::new(seed ^ 0x9A6E);
        if let Some(updating) = &updating {
            updating.spoil(&mut service, is_calm, begins, quiet_from, &mut paging);
        } else if paging.chance(250) {
            service.page = Some(paging.pick(&[1, 2, 5, 20]));
            // Faults are drawn for each page, and an answer of many is to fail about as often as one without: a range whose
            // answers nearly always fail cannot be told from one that cannot be read.
            service.fault_rate /= 4;
            service.bad_links = if is_calm { 0 } else { paging.pick(&[0, 0, 100]) };
            service.expired_links = if is_calm { 0 } else { paging.pick(&[0, 0, 100]) };
        }
        let members = updating.as_ref().map_or(SIEM.to_owned(), |updating| updating.members(api));
        let limit = updating.as_ref().map_or(limit, |updating| updating.limit);
        let config = config(&members, overlap, settle, slice, interval, limit, start);
        let takes_over = updating.as_ref().and_then(|updating| updating.takes_over);
        let takes_over = takes_over.filter(|_| !matches!(start, StartsAt::Range(..))).map(|ago| begins.minus(ago));
        let mut host = host(is_calm, &mut random);
        if has_default_limits {
            host.hands_tokens_on = false;
            host.impatient = 0;
        }
        if host.fresh == 1000 {
            // Pages that take more calls than these are never read to their end where every poll has a fresh instance.
            service.updated.quirks.calls_in_a_row = None;
        }
        let is_first_seen = updating.is_some_and(|updating| updating.plan.is_first_seen);
        Self {
            seed,
            api,
            is_first_seen,
            takes_over,
            config,
            limits,
            overlap,
            start,
            begins,
            history,
            quiet_from,
            jumps,
            service,
            host,
        }
    }
}

impl World {
    /// The checkpoint of a source of the SIEM API that had read everything before a time.
    pub(crate) fn checkpoint_of_siem(&self, cursor: Tick) -> String {
        let config = config(SIEM, self.overlap, MINUTE, HOUR, MINUTE, None, StartsAt::At(cursor.minus(DAY)));
        let config = Config::parse(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
        let reread = cursor.minus(self.overlap);
        let state = State::begin(&config, None, cursor);
        State { cursor, reread, watermark: Some(reread), ..state }.to_text()
    }
}

#[expect(clippy::too_many_arguments, reason = "what a seed decides builds on what it decided before")]
fn trouble(
    begins: Tick,
    quiet_from: Tick,
    slice: Ticks,
    is_calm: bool,
    cap: Option<Cap>,
    is_limited: bool,
    plan: &HistoryPlan,
    history: &[Item],
    random: &mut Random,
) -> (ServiceHabits, Vec<(Tick, Ticks)>) {
    let span = quiet_from.0 - begins.0;
    let some_time = |random: &mut Random| begins.plus(random.between(0, span / TICKS_PER_SECOND) * TICKS_PER_SECOND);
    let mut jumps = Vec::new();
    if random.chance(250) {
        for _ in 0..random.between(1, 4) {
            let ahead =
                random.pick(&[-26 * HOUR, -5 * HOUR, -HOUR, -2 * MINUTE, 0, 90 * TICKS_PER_SECOND, HOUR, 5 * HOUR]);
            // What lies between two clocks is read again and again, which takes long a minute at a time.
            let ahead: Ticks = if slice == MINUTE { ahead.max(-HOUR) } else { ahead };
            jumps.push((some_time(random), ahead));
        }
        if random.chance(500) {
            jumps.push((begins, random.pick(&[-5 * HOUR, -HOUR, HOUR, 5 * HOUR])));
        }
    }
    let mut windows = Vec::new();
    if !is_calm && random.chance(400) {
        for _ in 0..random.between(1, 3) {
            let what = random.pick(&[
                Trouble::NoConnection,
                Trouble::Failing,
                Trouble::Slow,
                Trouble::Throttling,
                Trouble::Refusing,
            ]);
            let length = random.pick(&[2 * MINUTE, 20 * MINUTE, 2 * HOUR, DAY]);
            let from = some_time(random);
            windows.push(Window { from, until: from.plus(length), what });
        }
    }
    let mut poison = Vec::new();
    if !is_calm && random.chance(POISON) {
        let around = history[random.index(history.len())].stamp.plus(random.between(-2, 2));
        poison.push((around, around.plus(random.pick(&[0, 0, 3, 1000, TICKS_PER_SECOND, 20 * MINUTE]))));
    }
    let faults = (0..random.between(1, 6)).map(|_| random.pick(FAULTS)).collect();
    // A service that says nothing of its time can only be used with a clock that is right.
    let no_date = if jumps.is_empty() { random.pick(&[0, 0, 300, 1000]) } else { 0 };
    let service = ServiceHabits {
        since_is_open: random.chance(400),
        until_is_open: random.chance(400),
        order: random.pick(&[Order::Ascending, Order::Descending, Order::Shuffled]),
        cap,
        twice: if cap.is_none() && !is_limited { random.pick(&[0, 0, 50]) } else { 0 },
        no_date,
        fault_rate: if is_calm { 0 } else { random.pick(&[0, 20, 100, 400]) },
        faults,
        token_fault_rate: if is_calm { 0 } else { random.pick(&[0, 50, 300]) },
        windows,
        poison,
        token_life: random.pick(&[
            (3599, 3599),
            (3599, 3599),
            (86_399, 86_399),
            (60, 60),
            (299, 299),
            (301, 301),
            (3599, 400),
        ]),
        latency: random.pick(&[0, 1, 1, 4]),
        chunk: random.pick(&[1, 7, 300, 4096, 100_000]),
        enveloped: random.pick(&[0, 300, 1000]),
        page: None,
        bad_links: 0,
        expired_links: 0,
        pretty: plan.pretty,
        patience: random.pick(&[TICKS_PER_SECOND, MINUTE, 10 * HOUR]),
        updated: UpdatedHabits::default(),
    };
    (service, jumps)
}

fn host(is_calm: bool, random: &mut Random) -> HostHabits {
    const SECOND: u64 = 1_000_000_000;
    let hands_tokens_on = random.chance(500);
    HostHabits {
        fresh: random.pick(&[0, 0, 100, 1000]),
        hands_tokens_on,
        kill: if is_calm { 0 } else { random.pick(&[0, 0, 5, 50]) },
        store: random.pick(&[1000, 1000, 300]),
        // An instance that knows nothing of a delay cannot keep it.
        impatient: if hands_tokens_on { random.pick(&[0, 300]) } else { 0 },
        slow_sink: random.pick(&[0, 0, 0, 100]),
        max_events: random.pick(&[&[1000][..], &[1000], &[1, 2, 3, 5, 20], &[3], &[1]]).to_vec(),
        max_bytes: random.pick(&[&[1 << 24][..], &[1 << 24], &[100, 1000, 5000], &[700]]).to_vec(),
        max_requests: random.pick(&[&[100][..], &[50], &[2, 3, 4, 10], &[2], &[3]]).to_vec(),
        max_duration: random
            .pick(&[
                &[600 * SECOND][..],
                &[600 * SECOND],
                &[600 * SECOND],
                &[SECOND, 5 * SECOND, 60 * SECOND],
                &[SECOND / 2],
            ])
            .to_vec(),
    }
}

fn config(
    members: &str,
    overlap: Ticks,
    settle: Ticks,
    slice: Ticks,
    interval: Ticks,
    limit: Option<u32>,
    start: StartsAt,
) -> String {
    let duration = |ticks: Ticks| format!("\"PT{}S\"", ticks / TICKS_PER_SECOND);
    let limit = limit.map(|limit| format!(",\"limit\":{limit}")).unwrap_or_default();
    let start = match start {
        StartsAt::Now => ",\"start\":\"now\"".to_owned(),
        StartsAt::Ago(ago) => format!(",\"start\":{}", duration(ago)),
        StartsAt::At(at) => format!(",\"start\":\"{at}\""),
        StartsAt::Range(..) => String::new(),
    };
    format!(
        "{{\"tenant_id\":\"11111111-1111-4111-8111-111111111111\",\"client_id\":\"22222222-2222-4222-8222-222222222222\",\
         \"client_secret\":\"kanarie~secret\",{members},\"overlap\":{},\"settle\":{},\"slice\":{},\
         \"poll_interval\":{}{limit}{start}}}",
        duration(overlap),
        duration(settle),
        duration(slice),
        duration(interval)
    )
}
