//! Names with values in the order in which they came, a list for a name that comes more than once.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::pattern::Pattern;

/// Names with the values of each.
pub(super) struct Members<'a, T>(Vec<(&'a str, Vec<T>)>);

/// Names with what their values have to be.
pub(super) type Patterns<'a> = Members<'a, WrittenPattern<'a>>;

/// A pattern as `traffic.json` holds it.
pub(super) struct WrittenPattern<'a>(pub(super) &'a Pattern);

impl<T> Default for Members<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Members<'_, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Patterns<'a> {
    pub(super) fn of(members: &'a [(String, Pattern)]) -> Self {
        members.iter().map(|(name, pattern)| (name.as_str(), WrittenPattern(pattern))).collect()
    }
}

impl<'a, T> FromIterator<(&'a str, T)> for Members<'a, T> {
    fn from_iter<I: IntoIterator<Item = (&'a str, T)>>(members: I) -> Self {
        let mut grouped: Vec<(&str, Vec<T>)> = Vec::new();
        for (name, value) in members {
            match grouped.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => grouped.push((name, vec![value])),
            }
        }
        Self(grouped)
    }
}

impl<T: Serialize> Serialize for Members<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            match &values[..] {
                [value] => map.serialize_entry(name, value)?,
                values => map.serialize_entry(name, values)?,
            }
        }
        map.end()
    }
}

impl Serialize for WrittenPattern<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Pattern::Exact(text) => serializer.serialize_str(text),
            Pattern::Absent => serializer.serialize_unit(),
            Pattern::Glob(form) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("pattern", form)?;
                map.end()
            }
        }
    }
}

/// JSON of two blanks a level, with a line break at its end.
pub(super) fn pretty(value: &impl Serialize) -> String {
    // Every key is a text and no value refuses to be written, which is all that could fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
