//! The time line at a glance: requests, batches and checkpoints over the waits between them.

use std::fmt::Write as _;
use std::time::Duration;

use scenario::{Answer, PollOutcome};

use super::html::{Text, span};
use crate::timeline::{Exchange, Timeline};

/// The width and the margins of the drawing, in its own units.
const WIDTH: f64 = 1_000.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 24.0;

/// A drawing of a run that took so long in all.
pub(super) fn strip(timeline: &Timeline, polls: &[PollOutcome], length: Duration) -> String {
    let scale = Scale { length: length.max(Duration::from_millis(1)) };
    let mut svg =
        format!("<div class=\"strip\"><svg viewBox=\"0 0 {WIDTH} 112\" role=\"img\" aria-label=\"time line\">\n");
    for (y, lane) in [(26, "requests"), (52, "batches"), (78, "checkpoints")] {
        let _ = writeln!(svg, "<text x=\"8\" y=\"{y}\">{lane}</text>");
    }
    for pair in timeline.polls.windows(2) {
        let [before, after] = pair else { continue };
        let told = format!("waits {}", span(after.began.saturating_sub(before.ended)));
        let mark = Mark { class: "wait", y: 10, height: 78, from: before.ended, to: after.began, narrowest: 0.0 };
        scale.draw(&mut svg, &mark, &told);
    }
    for exchange in &timeline.exchanges {
        let (class, took, told) = request(exchange);
        let mark = Mark { to: exchange.at + took, narrowest: 2.0, ..Mark::at(class, 16, exchange.at) };
        scale.draw(&mut svg, &mark, &told);
    }
    for ((number, span), poll) in (1..).zip(&timeline.polls).zip(polls) {
        let class = if poll.failure.is_some() { "batch bad" } else { "batch" };
        scale.draw(&mut svg, &Mark::at(class, 42, span.ended), &format!("poll {number}: {}", super::what_came(poll)));
        if poll.checkpoint.is_some() {
            scale.draw(&mut svg, &Mark::at("checkpoint", 68, span.ended), &format!("checkpoint of poll {number}"));
        }
    }
    for quarter in 0..=4_u32 {
        let at = scale.length * quarter / 4;
        let anchor = match quarter {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        let (x, label) = (scale.x(at), span(at));
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"104\" text-anchor=\"{anchor}\">{label}</text>");
    }
    svg.push_str("</svg></div>\n");
    svg
}

fn request(exchange: &Exchange) -> (&'static str, Duration, String) {
    let line = exchange.interaction.as_ref().map(|interaction| interaction.request.line()).unwrap_or_default();
    match exchange.interaction.as_ref().map(|interaction| &interaction.answer) {
        None => ("request bad", Duration::ZERO, "a request that was not recorded".to_owned()),
        Some(Answer::Failure(failure)) => ("request bad", failure.latency, format!("{line}: {}", failure.kind.word())),
        Some(Answer::Response(response)) => {
            let class = if response.status < 400 { "request" } else { "request bad" };
            (class, response.latency, format!("{line}: {}", response.status))
        }
    }
}

/// A rectangle over a stretch of time.
struct Mark<'a> {
    class: &'a str,
    y: u32,
    height: u32,
    from: Duration,
    to: Duration,
    /// The least width, in the units of the drawing.
    narrowest: f64,
}

impl<'a> Mark<'a> {
    /// One of an instant, in the lane that begins at `y`.
    fn at(class: &'a str, y: u32, at: Duration) -> Self {
        Self { class, y, height: 12, from: at, to: at, narrowest: 4.0 }
    }
}

struct Scale {
    length: Duration,
}

impl Scale {
    fn x(&self, at: Duration) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at.as_secs_f64() / self.length.as_secs_f64()).min(1.0)
    }

    fn draw(&self, svg: &mut String, mark: &Mark<'_>, told: &str) {
        let Mark { class, y, height, from, to, narrowest } = mark;
        let x = self.x(*from);
        // A hair less, so that neighbours are told apart.
        let width = (self.x(*to) - x - 1.0).max(*narrowest);
        if width <= 0.0 {
            return;
        }
        // A `String` takes everything.
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\"><title>{}</title></rect>",
            Text(told)
        );
    }
}
