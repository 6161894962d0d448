//! A checkpoint in a person's words. To a host it is opaque text: what is a JSON object is shown by its members, and
//! nothing else is guessed.

use serde_json::Value;
use source_host::Instant;

/// A text that is longer is cut.
const LONGEST: usize = 100;

/// What a checkpoint says, line by line.
pub(super) fn checkpoint(text: &str, now: Instant) -> Vec<String> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return vec![format!("checkpoint  {}", cut(text))];
    };
    let mut lines = vec![format!("checkpoint  {}, of these members:", size(text.len() as u64))];
    // Times that everybody asks for first.
    let first = ["watermark", "cursor"];
    let named = first.iter().filter_map(|name| members.get_key_value(*name));
    let rest = members.iter().filter(|(name, _)| !first.contains(&name.as_str()));
    for (name, value) in named.chain(rest) {
        let time = value.as_str().filter(|text| text.len() > 10).and_then(|text| Instant::parse(text).ok());
        let meaning = match name.as_str() {
            "watermark" => " (everything before it was delivered)",
            "cursor" => " (read up to here)",
            _ => "",
        };
        match time {
            Some(time) => lines.push(format!("  {name}: {time}, {}{meaning}", ago(time, now))),
            None => lines.push(format!("  {name}: {}", inner(value))),
        }
    }
    lines
}

/// Small things are shown, large ones counted.
fn inner(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        Value::Object(members) if value.to_string().len() > LONGEST => {
            format!("{} members, {}", members.len(), size(value.to_string().len() as u64))
        }
        Value::Array(items) if value.to_string().len() > LONGEST => {
            format!("{} items, {}", items.len(), size(value.to_string().len() as u64))
        }
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name} {}", inner(value))).collect();
            members.join(", ")
        }
        other => other.to_string(),
    }
}

/// A component writes it, so it may hold what moves a terminal's cursor.
fn cut(text: &str) -> String {
    let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({})", clean(text.get(..end).unwrap_or(text)), size(text.len() as u64)),
        None => clean(text),
    }
}

/// How long ago a time was, in its two largest units.
pub(super) fn ago(time: Instant, now: Instant) -> String {
    let seconds = now.seconds.saturating_sub(time.seconds);
    let length = length(seconds.unsigned_abs());
    if seconds < 0 { format!("in {length}") } else { format!("{length} ago") }
}

fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// A number of bytes as a person says it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        Instant::parse("2026-11-27T05:00:00Z").unwrap()
    }

    #[test]
    fn members_are_shown_times_first_and_a_ring_is_counted() {
        let ring: serde_json::Map<String, Value> =
            (10..60).map(|minute| (format!("2026-11-27T04:{minute}"), "k".repeat(11).into())).collect();
        let text = serde_json::json!({
            "cursor": "2026-11-27T04:59:00.0000000Z", "keys": ring, "round": { "at": "x", "end": 7 }, "limit": 5,
            "watermark": "2026-11-26T03:00:00Z",
        });
        let lines = checkpoint(&text.to_string(), now());
        assert_eq!(
            lines[1..],
            [
                "  watermark: 2026-11-26T03:00:00Z, 1 d 2 h ago (everything before it was delivered)",
                "  cursor: 2026-11-27T04:59:00Z, 1 min 0 s ago (read up to here)",
                "  keys: 50 members, 1.7 KB",
                "  limit: 5",
                "  round: at x, end 7",
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_shown_as_it_is_and_moves_no_cursor() {
        assert_eq!(checkpoint("12\u{1b}[2J", now()), ["checkpoint  12 [2J"]);
        let long = checkpoint(&"é".repeat(1_000), now());
        assert!(long[0].ends_with("é… (2.0 KB)") && long[0].chars().count() < 130, "{}", long[0]);
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        let written: Vec<String> = [5, 65, 3_700, 200_000].map(length).into();
        assert_eq!(written, ["5 s", "1 min 5 s", "1 h 1 min", "2 d 7 h"]);
        assert_eq!(
            ago(Instant { seconds: 70, nanoseconds: 0 }, Instant { seconds: 10, nanoseconds: 0 }),
            "in 1 min 0 s"
        );
    }
}
