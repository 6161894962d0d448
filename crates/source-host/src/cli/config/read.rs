//! TOML as the tables that are known here, with everything that does not fit them.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error, ValueDeserializer};

use super::RawFile;
use super::check::Problem;
use super::explain;

/// Reads a file as far as it goes. serde stops at the first thing that does not fit, so that one is taken out and the rest
/// is read again.
pub(super) fn read(text: &str) -> Result<RawFile, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(problem).collect());
    }
    let mut document = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    let mut problems = Vec::new();
    let mut taken_out: Vec<Member> = Vec::new();
    loop {
        let error = match RawFile::deserialize(ValueDeserializer::from(document.clone())) {
            Ok(file) if problems.is_empty() => return Ok(file),
            Ok(_) => break,
            Err(error) => error,
        };
        // What was taken out is missing for no other reason.
        if !taken_out.iter().any(|member| member.is_why(&error)) {
            problems.push(problem(&error));
        }
        let Some(member) = error.span().and_then(|place| take_out(&mut document, &place)) else { break };
        taken_out.push(member);
    }
    problems.sort_by_key(|problem| problem.at.as_ref().map(|at| at.start));
    Err(problems)
}

fn problem(error: &Error) -> Problem {
    Problem { at: error.span(), message: explain::sentence(error.message()) }
}

/// What was taken out, and of what; an item of an array has no name.
struct Member {
    of: Range<usize>,
    name: String,
}

impl Member {
    fn is_why(&self, error: &Error) -> bool {
        error.span().as_ref() == Some(&self.of) && error.message() == format!("missing field `{}`", self.name)
    }
}

/// Takes out the innermost member or item in which the place lies.
fn take_out(value: &mut Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<Member> {
    let of = value.span();
    match value.get_mut() {
        DeValue::Table(table) => {
            if let Some(inner) = table.iter_mut().find_map(|(_, value)| take_out(value, place)) {
                return Some(inner);
            }
            let (name, _) = table.iter().find(|(name, value)| encloses(name, place) || encloses(value, place))?;
            let name = name.clone();
            table.remove(&name);
            Some(Member { of, name: name.into_inner().into_owned() })
        }
        DeValue::Array(items) => {
            if let Some(inner) = items.iter_mut().find_map(|item| take_out(item, place)) {
                return Some(inner);
            }
            let wrong = items.iter().position(|item| encloses(item, place))?;
            let all = std::mem::replace(items, DeArray::new()).into_iter().enumerate();
            all.filter(|(at, _)| *at != wrong).for_each(|(_, item)| items.push(item));
            Some(Member { of, name: String::new() })
        }
        _ => None,
    }
}

fn encloses<T>(spanned: &Spanned<T>, place: &Range<usize>) -> bool {
    let span = spanned.span();
    span.start <= place.start && place.end <= span.end
}
