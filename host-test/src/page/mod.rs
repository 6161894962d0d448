//! A replay as one self-contained page of HTML: what happened when, every request and its answer, the events, and what is
//! not as expected.

mod html;
mod strip;

use std::fmt::Write as _;

use scenario::{NextOutcome, PollOutcome, Scenario};

use crate::finding::Finding;
use crate::layout::laid_out;
use crate::report::{Report, count};
use crate::timeline::{Answered, Asked, Message, Span};

use html::{Text, difference, pre, span, unfolding};

/// From so many polls in a row on that brought nothing, they are folded into one line.
const QUIET: usize = 3;

/// A scenario, what a replay of it came to, and what is not as expected.
#[derive(Debug)]
pub struct Replayed {
    /// The scenario.
    pub scenario: Scenario,
    /// What it came to.
    pub report: Report,
    /// What is not as expected.
    pub findings: Vec<Finding>,
}

/// The page for these replays. It loads nothing from anywhere, and holds no secret of their scenarios.
pub fn page(replays: &[Replayed]) -> String {
    let good = replays.iter().filter(|replay| replay.findings.is_empty()).count();
    let title = format!("{good} of {} as expected", count(replays.len(), "scenario"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>host-test: {title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        include_str!("style.css")
    );
    if replays.len() > 1 {
        page.push_str("<nav><ul>\n");
        for (number, replay) in (1..).zip(replays) {
            let name = Text(&replay.report.name);
            let _ = writeln!(page, "<li>{} <a href=\"#scenario-{number}\">{name}</a></li>", badge(replay));
        }
        page.push_str("</ul></nav>\n");
    }
    for (number, replay) in (1..).zip(replays) {
        section(&mut page, number, replay);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn badge(replay: &Replayed) -> &'static str {
    if replay.findings.is_empty() {
        "<span class=\"badge good\">as expected</span>"
    } else {
        "<span class=\"badge bad\">not as expected</span>"
    }
}

fn section(page: &mut String, number: usize, replay: &Replayed) {
    let Replayed { scenario, report, findings } = replay;
    let _ = writeln!(
        page,
        "<section id=\"scenario-{number}\">\n<h2>{} {}</h2>\n<p>{}</p>\n<p class=\"faint\">{}</p>",
        Text(&report.name),
        badge(replay),
        Text(&scenario.settings.why),
        Text(&scenario.settings.from)
    );
    facts(page, scenario, report);
    if !findings.is_empty() {
        page.push_str("<h3>Not as expected</h3>\n");
    }
    for finding in findings {
        page.push_str(&match finding {
            Finding::Different { file, diff } => {
                let diff = difference(&scenario.canaries.hide(diff));
                format!("<p>{file} says something else (- expected, + now):</p>{diff}\n")
            }
            other => pre(&scenario.canaries.hide(&other.to_string())),
        });
    }
    if !report.timeline.polls.is_empty() {
        page.push_str("<h3>Time line</h3>\n");
        page.push_str(&strip::strip(&report.timeline, &report.outcome.polls, report.virtual_time));
        page.push_str("<h3>Polls</h3>\n");
        polls(page, scenario, report);
    }
    page.push_str("</section>\n");
}

fn facts(page: &mut String, scenario: &Scenario, report: &Report) {
    let sum = |of: fn(&PollOutcome) -> usize| report.outcome.polls.iter().map(of).sum::<usize>().to_string();
    let facts = [
        ("clock starts at", scenario::time_text(scenario.settings.starts)),
        ("virtual time", span(report.virtual_time)),
        ("polls", report.timeline.polls.len().to_string()),
        ("requests", report.requests.to_string()),
        ("events", sum(|poll| poll.events)),
        ("gaps", sum(|poll| poll.gaps)),
    ];
    page.push_str("<dl>\n");
    for (name, value) in facts {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value));
    }
    page.push_str("</dl>\n");
}

fn polls(page: &mut String, scenario: &Scenario, report: &Report) {
    let lines: Vec<&str> = report.events.lines().collect();
    // A poll that lost its instance has a span and no outcome.
    let outcomes = report.outcome.polls.iter().map(Some).chain(std::iter::repeat(None));
    let all: Vec<_> =
        (1..).zip(&report.timeline.polls).zip(outcomes).map(|((n, span), poll)| (n, span, poll)).collect();
    for run in all.chunk_by(|(_, _, before), (_, _, after)| is_quiet(*before) && is_quiet(*after)) {
        let is_folded = run.len() >= QUIET && run.iter().all(|(_, _, poll)| is_quiet(*poll));
        if !is_folded {
            for (number, span, poll) in run {
                let exchanges = report.timeline.exchanges.get(span.requests.clone()).unwrap_or_default();
                let asked: Vec<Asked> =
                    exchanges.iter().map(|exchange| Asked::of(exchange, &scenario.canaries)).collect();
                page.push_str(&one_poll(
                    *number,
                    span,
                    *poll,
                    &asked,
                    lines.get(span.lines.clone()).unwrap_or_default(),
                ));
            }
            continue;
        }
        let [(first, from, _), .., (last, to, _)] = run else { continue };
        let requests = to.requests.end - from.requests.start;
        let (since, until) = (span(from.began), span(to.ended));
        let told = format!(
            "<time>{since} to {until}</time> polls {first} to {last} brought nothing: {}",
            count(requests, "request")
        );
        let one = |(number, at, _): &(usize, &Span, Option<&PollOutcome>)| {
            format!("<li><time>{}</time> poll {number}</li>\n", span(at.began))
        };
        let list: String = run.iter().map(one).collect();
        let _ = writeln!(page, "<div class=\"poll\">{}</div>", unfolding(&told, &format!("<ol>\n{list}</ol>")));
    }
}

fn is_quiet(poll: Option<&PollOutcome>) -> bool {
    poll.is_some_and(|poll| poll.events == 0 && poll.gaps == 0 && poll.failure.is_none() && poll.notices.is_empty())
}

/// What a poll returned, in a few words.
fn what_came(poll: &PollOutcome) -> String {
    if let Some(failure) = &poll.failure {
        return format!("{} {}", failure.kind, failure.code).trim_end().to_owned();
    }
    let next = match &poll.next {
        Some(NextOutcome::Now) => ", next poll at once".to_owned(),
        Some(NextOutcome::After(wait)) => format!(", next poll after {wait}"),
        Some(NextOutcome::Ended) => ", ended".to_owned(),
        None => String::new(),
    };
    returned(poll) + &next
}

fn returned(poll: &PollOutcome) -> String {
    let gaps = if poll.gaps > 0 { format!(", {}", count(poll.gaps, "gap")) } else { String::new() };
    count(poll.events, "event") + &gaps
}

fn one_poll(number: usize, at: &Span, poll: Option<&PollOutcome>, asked: &[Asked], lines: &[&str]) -> String {
    let came = poll.map_or_else(|| "the instance was lost".to_owned(), what_came);
    let is_bad = poll.is_none_or(|poll| poll.failure.is_some());
    let class = if is_bad { " class=\"bad\"" } else { "" };
    let mut html = format!(
        "<div class=\"poll\"><p><time>{}</time> <strong>poll {number}</strong> <span{class}>{}</span></p>\n",
        span(at.began),
        Text(&came)
    );
    html.extend(asked.iter().map(exchange));
    if !lines.is_empty() {
        html.push_str(&unfolding(&poll.map(returned).unwrap_or_default(), &pre(&laid_out_lines(lines))));
    }
    let Some(poll) = poll else { return html + "</div>\n" };
    if let Some(failure) = &poll.failure {
        let hint = failure.hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        html.push_str(&pre(&format!("{}{hint}", failure.message)));
    }
    for notice in &poll.notices {
        let _ = writeln!(html, "<p class=\"faint\">{}: {}</p>", notice.level, Text(&notice.message));
    }
    if let Some(checkpoint) = &poll.checkpoint {
        html.push_str(&unfolding("checkpoint", &pre(&format!("{checkpoint:#}"))));
    }
    html + "</div>\n"
}

/// Events as they came, with a member a line.
fn laid_out_lines(lines: &[&str]) -> String {
    lines.iter().map(|line| laid_out(line).unwrap_or_else(|| (*line).to_owned()) + "\n").collect()
}

fn exchange(asked: &Asked) -> String {
    let Asked { at, took, request, answer } = asked;
    let (class, came, content) = match answer {
        Answered::Response(response, ending) => {
            let is_good = response.line.starts_with(['2', '3']) && ending.is_none();
            let ending = ending.as_deref().map(|ending| format!(", {ending}")).unwrap_or_default();
            (if is_good { "good" } else { "bad" }, format!("{}{ending}", response.line), message(response))
        }
        Answered::Failure(word) => ("bad", format!("the connection fails: {word}"), String::new()),
        Answered::Unmatched => ("bad", "nothing that was recorded answers this".to_owned(), String::new()),
    };
    let summary = format!(
        "<time>{}</time> {} <span class=\"{class}\">{}</span> <span class=\"faint\">in {}</span>",
        span(*at),
        Text(&request.line),
        Text(&came),
        span(*took)
    );
    unfolding(&summary, &format!("{}{content}", message(request)))
}

fn message(message: &Message) -> String {
    let Message { line, headers, body } = message;
    pre(format!("{line}\n{headers}\n{body}").trim_end())
}
