//! Stamps and durations.

use defender_core::config::duration::{self, Iso};
use defender_core::http::{MAX_RETRY_AFTER, ResponseHead};
use defender_core::tick::{TICKS_PER_SECOND, Tick};

use crate::Reached;

/// A text that is a stamp prints as the same instant, and so does every tick; what is a duration prints as the same
/// length; no header value makes a wait longer than the longest.
///
/// The first eight bytes are a tick, all of them the text.
pub fn tick(data: &[u8]) -> Reached {
    let mut reached = Reached::new();
    if let Some(number) = data.first_chunk::<8>() {
        let number = i64::from_le_bytes(*number);
        round_trip(Tick(number.clamp(Tick::MIN.0, Tick::MAX.0)));
        let (later, earlier) = (Tick::default().plus(number), Tick::default().minus(number));
        assert!(Tick::MIN <= later && later <= Tick::MAX && Tick::MIN <= earlier && earlier <= Tick::MAX);
        round_trip(Tick::from_unix(number, number.unsigned_abs() as u32));
    }
    let text = String::from_utf8_lossy(data);
    if let Some(tick) = Tick::parse(&text) {
        reached.insert("stamp");
        assert!(Tick::MIN <= tick && tick <= Tick::MAX);
        round_trip(tick);
        assert_eq!(Tick::parse(&format!(" {tick}\n")), Some(tick));
    }
    if let Ok(ticks) = duration::parse(&text) {
        reached.insert("duration");
        assert!(ticks >= 0, "{text}");
        assert_eq!(duration::parse(&Iso(ticks).to_string()), Ok(ticks), "{text}");
    }
    if let Some(suggestion) = duration::suggestion(&text) {
        reached.insert("suggested-duration");
        assert!(duration::parse(&suggestion).is_ok(), "{text}");
    }
    let headers = vec![("Retry-After".to_owned(), text.to_string()), ("Date".to_owned(), text.into_owned())];
    let head = ResponseHead { status: 429, headers };
    if head.date().is_some() {
        reached.insert("http-date");
    }
    for now in [Tick::MIN, Tick::default(), Tick::MAX] {
        assert!(head.retry_after(now).is_none_or(|wait| wait <= MAX_RETRY_AFTER));
    }
    reached
}

fn round_trip(tick: Tick) {
    let text = tick.to_string();
    assert_eq!((Tick::parse(&text), text.len()), (Some(tick), "2020-09-30T14:11:44.0779765Z".len()), "{text}");
    let (seconds, nanoseconds) = tick.to_unix();
    assert_eq!(Tick::from_unix(seconds, nanoseconds), tick);
    assert!(i64::from(nanoseconds) < TICKS_PER_SECOND * 100);
}
