//! Typed access to the members of one object, guided by its table.

use super::duration::{self, Iso};
use super::members::{self, Bounds, Kind, MAX_AGO, MAX_LIMIT, Member, Need};
use super::problems::{Complaint, Problems, pointer, shown, shown_name};
use crate::json::Node;
use crate::protocol::Words;
use crate::tick::{Tick, Ticks};

/// One object of the configuration. Every method adds what is wrong, and answers `None` where nothing usable is there.
pub(super) struct Reader<'a> {
    pointer: &'static str,
    table: &'static [Member],
    members: &'a [(String, Node)],
}

impl<'a> Reader<'a> {
    /// Reads these members, which stand at `pointer`, by this table.
    pub(super) fn new(pointer: &'static str, table: &'static [Member], members: &'a [(String, Node)]) -> Self {
        Self { pointer, table, members }
    }

    /// Complains about members that are unknown, written twice, null, or missing.
    pub(super) fn check(&self, problems: &mut Problems) {
        for (index, (name, value)) in self.members.iter().enumerate() {
            if problems.is_full() {
                return;
            }
            // A name too long or too odd to be shown is pointed at by the object that holds it.
            let at = if shown_name(name) == *name { self.at(name) } else { self.pointer.to_owned() };
            let is_there_twice = self.members[..index].iter().any(|(earlier, _)| earlier == name);
            if let Some(member) = members::find(self.table, name) {
                if is_there_twice {
                    problems.add(&at, "is there twice", "Keep one of the two.");
                } else if *value == Node::Null {
                    problems.add(&at, "is null", if_null(member));
                }
            } else if self.is_root() && members::OF_REFUSED_FLOWS.iter().any(|(refused, _)| refused == name) {
                let (predicate, hint) = members::REFUSED_FLOW;
                problems.add(&at, predicate, hint);
            } else {
                let place = if self.is_root() { String::new() } else { format!(" of `{}`", self.name()) };
                let message = format!("`{}` is not a member{place}.", shown_name(name));
                problems.report("config.unknown-member", Some(at), message, &self.nearest(name));
            }
        }
        for member in self.table.iter().filter(|member| member.need == Need::Required && !self.has(member.name)) {
            problems.add(&self.at(member.name), "is missing", if_null(member));
        }
    }

    /// Whether a member of this name is there, whatever it holds.
    #[inline(never)]
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(given, _)| given == name)
    }

    /// What a member of this name holds, whatever it is.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        self.members.iter().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// The pointer of a member.
    pub(super) fn at(&self, name: &str) -> String {
        pointer(self.pointer, name)
    }

    /// A string that is not empty.
    #[inline(never)]
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        let (member, value) = self.value(name)?;
        problems.keep(&self.at(name), as_text(value, member))
    }

    /// The index of one of the words of a choice, or of its default.
    #[inline(never)]
    pub(super) fn choice(&self, name: &str, problems: &mut Problems) -> Option<usize> {
        let member = members::find(self.table, name)?;
        let Kind::Choice(words) = &member.kind else { return None };
        let text = if self.has(name) { self.text(name, problems)? } else { member.default? };
        let index = words.iter().position(|word| *word == text);
        if index.is_none() {
            let predicate = format!("is {}, and may be `{}`", shown(text), words.join("`, `"));
            let hint = match words.iter().min_by_key(|word| distance(word, text)) {
                Some(word) if distance(word, text) <= 2 && words.len() > 1 => format!("Did you mean `{word}`?"),
                _ => member.about.to_owned(),
            };
            problems.add(&self.at(name), predicate, hint);
        }
        index
    }

    /// A duration within its bounds, or its default.
    #[inline(never)]
    pub(super) fn duration(&self, name: &str, problems: &mut Problems) -> Option<Ticks> {
        let member = members::find(self.table, name)?;
        let Kind::Duration(bounds) = &member.kind else { return None };
        let text = if self.has(name) { self.text(name, problems)? } else { member.default? };
        problems.keep(&self.at(name), as_duration(text, member).and_then(|ticks| within(ticks, bounds)))
    }

    /// A duration that looks back, as it was written and as a length.
    pub(super) fn ago(&self, name: &str, problems: &mut Problems) -> Option<(String, Ticks)> {
        let (member, value) = self.value(name)?;
        let read = as_text(value, member).and_then(|text| Ok((text.to_owned(), as_ago(text, member)?)));
        problems.keep(&self.at(name), read)
    }

    /// A time.
    #[inline(never)]
    pub(super) fn time(&self, name: &str, problems: &mut Problems) -> Option<Tick> {
        let (member, value) = self.value(name)?;
        problems.keep(&self.at(name), as_text(value, member).and_then(as_time))
    }

    /// A whole number from 1 to [`MAX_LIMIT`].
    #[inline(never)]
    pub(super) fn limit(&self, name: &str, problems: &mut Problems) -> Option<u32> {
        let (member, value) = self.value(name)?;
        let read = match value {
            Node::Whole(count) => match u32::try_from(*count) {
                Ok(count @ 1..=MAX_LIMIT) => Ok(count),
                Ok(0) => Err(Complaint::new("is 0, and must be 1 or more", "Leave it out for the default.")),
                _ => Err(Complaint::new(
                    format!("is {count}, and may be {MAX_LIMIT} at most"),
                    "Leave it out for the default.",
                )),
            },
            Node::OtherNumber => Err(Complaint::new(
                format!("is not a whole number from 1 to {MAX_LIMIT}"),
                format!("Write a whole number such as {}.", member.example),
            )),
            _ => Err(wrong_type(value, member)),
        };
        problems.keep(&self.at(name), read)
    }

    /// A string, or a list of strings; none of them empty.
    #[inline(never)]
    pub(super) fn texts(&self, name: &str, problems: &mut Problems) -> Vec<String> {
        let Some((member, value)) = self.value(name) else { return Vec::new() };
        let at = self.at(name);
        let Node::List(items) = value else {
            return problems.keep(&at, as_text(value, member).map(|text| vec![text.to_owned()])).unwrap_or_default();
        };
        let read = |(index, item)| {
            let at = format!("{at}/{index}");
            problems.keep(&at, as_text(item, member).map(str::to_owned))
        };
        items.iter().enumerate().filter_map(read).collect()
    }

    /// Complains about members that do not belong to this value of `api`.
    pub(super) fn check_api(&self, api: &str, problems: &mut Problems) {
        let foreign =
            |member: &&Member| !member.apis.is_empty() && !member.apis.contains(&api) && self.has(member.name);
        for member in self.table.iter().filter(foreign) {
            let predicate = format!("has no meaning with `api` = `{api}`");
            let hint = format!("Take it out: it belongs to `{}`.", member.apis.join("`, `"));
            problems.add(&self.at(member.name), predicate, hint);
        }
    }

    /// One of the words that what is named has, or a list of them.
    #[inline(never)]
    pub(super) fn words(&self, name: &str, words: Words, of: &str, problems: &mut Problems) -> Vec<&'static str> {
        let texts = self.texts(name, problems);
        let read = |(index, text): (usize, String)| {
            let known = words.iter().map(|(word, _)| *word);
            let found = known.clone().find(|word| *word == text);
            if found.is_none() {
                let at = if matches!(self.node(name), Some(Node::List(_))) {
                    format!("{}/{index}", self.at(name))
                } else {
                    self.at(name)
                };
                let list = known.clone().collect::<Vec<_>>().join("`, `");
                let hint = match known.min_by_key(|word| distance(word, &text)) {
                    Some(word) if distance(word, &text) <= 2 => format!("Did you mean `{word}`?"),
                    _ => "Take it out for all of them.".to_owned(),
                };
                problems.add(&at, format!("is {}, and may be `{list}` with {of}", shown(&text)), hint);
            }
            found
        };
        let mut found: Vec<_> = texts.into_iter().enumerate().filter_map(read).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// An object of its own table.
    pub(super) fn object(&self, pointer: &'static str, problems: &mut Problems) -> Option<Reader<'a>> {
        let (member, value) = self.value(pointer.trim_start_matches('/'))?;
        let Kind::Object(table) = &member.kind else { return None };
        let read = match value {
            Node::Object(members) => Ok(Self::new(pointer, table, members)),
            _ => Err(wrong_type(value, member)),
        };
        let reader = problems.keep(pointer, read)?;
        reader.check(problems);
        Some(reader)
    }

    /// The first member of this name that is not null.
    #[inline(never)]
    fn value(&self, name: &str) -> Option<(&'static Member, &'a Node)> {
        let member = members::find(self.table, name)?;
        let (_, value) = self.members.iter().find(|(given, _)| given == name)?;
        (*value != Node::Null).then_some((member, value))
    }

    fn is_root(&self) -> bool {
        self.pointer.is_empty()
    }

    /// The name of this object; empty for the outermost.
    fn name(&self) -> &'static str {
        self.pointer.trim_start_matches('/')
    }

    /// What was probably meant by a name that is unknown here.
    #[inline(never)]
    fn nearest(&self, name: &str) -> String {
        let name = shown_name(name);
        let near = self.table.iter().min_by_key(|member| distance(member.name, &name));
        let near_distance = near.map_or(usize::MAX, |member| distance(member.name, &name));
        if near_distance > 0
            && let Some((home, member)) = self.elsewhere(&name)
        {
            let Some(inside) = home else { return format!("Put `{member}` outside `{}`, beside it.", self.name()) };
            return format!("Put `{member}` inside `{inside}`.");
        }
        let known = near.map_or("", |member| member.name);
        if near_distance <= 1 + known.len() / 3 {
            return format!("Did you mean `{known}`?");
        }
        format!("The nearest known member is `{known}`. Known are: {}.", names(self.table))
    }

    /// The object, other than this one, that has a member of this name; none for the outermost.
    fn elsewhere(&self, name: &str) -> Option<(Option<&'static str>, &'static str)> {
        let tables =
            [(None, members::MEMBERS), (Some("endpoints"), members::ENDPOINTS), (Some("request"), members::REQUEST)];
        tables
            .into_iter()
            .filter(|(home, _)| home.unwrap_or_default() != self.name())
            .find_map(|(home, table)| table.iter().find(|m| distance(m.name, name) == 0).map(|m| (home, m.name)))
    }
}

/// `now` is not among these: a duration or a time that says where to start.
pub(super) fn as_ago(text: &str, member: &Member) -> Result<Ticks, Complaint> {
    match as_duration(text, member)? {
        0 => {
            Err(Complaint::new("is no time at all", format!("Write how far to look back, such as {}.", member.example)))
        }
        ticks if ticks > MAX_AGO => {
            let predicate = format!("is {}, longer than {}", shown(text), Iso(MAX_AGO));
            Err(Complaint::new(predicate, "The service keeps nothing that long; write a shorter duration."))
        }
        ticks => Ok(ticks),
    }
}

/// Reads a time: a stamp with or without a zone, or a date alone.
pub(super) fn as_time(text: &str) -> Result<Tick, Complaint> {
    let at_midnight = if text.trim().len() == 10 { format!("{}T00:00:00", text.trim()) } else { String::new() };
    Tick::parse(text).or_else(|| Tick::parse(&at_midnight)).ok_or_else(|| {
        let predicate = format!("is {}, which is not a time", shown(text));
        Complaint::new(predicate, "Write it like 2020-09-12T00:00:00Z or 2020-09-12; without a zone it is UTC.")
    })
}

fn as_duration(text: &str, member: &Member) -> Result<Ticks, Complaint> {
    duration::parse(text).map_err(|why| {
        let predicate = format!("is {}, which is not an ISO 8601 duration: {why}", shown(text));
        let hint = match duration::suggestion(text) {
            Some(meant) => format!("Did you mean {meant}?"),
            None => format!("Write it like {}.", member.example),
        };
        Complaint::new(predicate, hint)
    })
}

fn within(ticks: Ticks, bounds: &Bounds) -> Result<Ticks, Complaint> {
    let (side, bound, why) = if ticks < bounds.least {
        ("shorter", bounds.least, bounds.why_least)
    } else if ticks > bounds.most {
        ("longer", bounds.most, bounds.why_most)
    } else {
        return Ok(ticks);
    };
    let (length, bound) = (Iso(ticks), Iso(bound));
    Err(Complaint::new(format!("is {length}, {side} than {bound}: {why}"), format!("Write {bound}, or leave it out.")))
}

fn as_text<'a>(value: &'a Node, member: &Member) -> Result<&'a str, Complaint> {
    let Node::Text(text) = value else { return Err(wrong_type(value, member)) };
    if text.trim().is_empty() {
        return Err(Complaint::new("is empty", if_null(member)));
    }
    if text.chars().any(char::is_control) {
        return Err(Complaint::new(
            "holds a line break or another control character",
            "Take it out; it may have come along with a copied value.",
        ));
    }
    Ok(text)
}

fn wrong_type(value: &Node, member: &Member) -> Complaint {
    let expected = match member.kind {
        Kind::Object(_) => "an object",
        Kind::Limit => "a whole number",
        Kind::Texts | Kind::Words => "a string or a list of strings",
        _ => "a string",
    };
    let hint = match member.kind {
        Kind::Object(table) => {
            format!("Write an object with some of the members {}.", names(table))
        }
        Kind::Limit => format!("Write it without quotes, like {}.", member.example),
        Kind::Secret => "Put the value in double quotes.".to_owned(),
        _ => format!("Write it like \"{}\".", member.example),
    };
    Complaint::new(format!("is {}, not {expected}", value.kind()), hint)
}

fn if_null(member: &Member) -> String {
    match (member.need, member.default) {
        (Need::Required, _) => format!("Give it a value. {}", member.about),
        (_, Some(default)) => format!("Give it a value, or leave it out for {default}."),
        (_, None) => "Give it a value, or leave it out.".to_owned(),
    }
}

fn names(table: &[Member]) -> String {
    table.iter().map(|member| member.name).collect::<Vec<_>>().join(", ")
}

/// How many edits lie between two names, whatever their capitals and joints.
#[inline(never)]
fn distance(a: &str, b: &str) -> usize {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    strsim::levenshtein(&plain(a), &plain(b))
}
