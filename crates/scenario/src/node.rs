//! JSON that remembers where each value stands, so that every complaint names file, line and pointer, and so that a
//! recorded body keeps its bytes.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::nearest::nearest;
use crate::problem::Problem;

/// A file of JSON.
pub(crate) struct Document {
    file: PathBuf,
    text: String,
}

impl Document {
    /// Reads a file and checks its syntax.
    pub(crate) fn read(file: &Path, what: &str) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Problem::of_file(file, "there is no such file", format!("write it: {what}"))
            }
            std::io::ErrorKind::InvalidData => {
                Problem::of_file(file, "it is not UTF-8 text", "save it as UTF-8, without a byte order mark")
            }
            _ => Problem::of_file(file, format!("it cannot be read: {error}"), "check the file and its permissions"),
        })?;
        Self::parse(file, text)
    }

    /// Checks the syntax of a text.
    pub(crate) fn parse(file: &Path, text: String) -> Result<Self, Problem> {
        match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => Ok(Self { file: file.to_owned(), text }),
            Err(error) => {
                let what = error.to_string();
                let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
                let mut problem = Problem::of_file(
                    file,
                    format!("it is not valid JSON: {what} at column {}", error.column()),
                    "look at that line and the one before it: a comma, a quote or a bracket is missing or too many",
                );
                problem.line = Some(error.line());
                Err(problem)
            }
        }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { document: self, raw: self.text.trim(), pointer: String::new() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// One value in a document.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    document: &'a Document,
    raw: &'a str,
    pointer: String,
}

impl<'a> Node<'a> {
    /// The value exactly as it is written.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// The line on which the value begins, from 1 on.
    pub(crate) fn line(&self) -> usize {
        let offset = (self.raw.as_ptr().addr()).saturating_sub(self.document.text.as_ptr().addr());
        self.document.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
    }

    /// The folder of the file, which file names in it are relative to.
    pub(crate) fn folder(&self) -> &'a Path {
        self.document.file.parent().unwrap_or(Path::new("."))
    }

    /// Blames this value.
    pub(crate) fn problem(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem {
            line: Some(self.line()),
            pointer: self.pointer.clone(),
            ..Problem::of_file(&self.document.file, message, hint)
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.raw == "null"
    }

    pub(crate) fn is_string(&self) -> bool {
        self.raw.starts_with('"')
    }

    pub(crate) fn is_object(&self) -> bool {
        self.raw.starts_with('{')
    }

    pub(crate) fn is_array(&self) -> bool {
        self.raw.starts_with('[')
    }

    pub(crate) fn string(&self) -> Result<String, Problem> {
        serde_json::from_str(self.raw).map_err(|_| self.wrong_kind("a string"))
    }

    /// A string that says something.
    pub(crate) fn sentence(&self) -> Result<String, Problem> {
        let text = self.string()?;
        if text.trim().is_empty() {
            return Err(self.problem("it is empty", "say it in a sentence, for whoever reads the scenario next"));
        }
        Ok(text)
    }

    pub(crate) fn integer(&self) -> Result<u64, Problem> {
        serde_json::from_str(self.raw).map_err(|_| self.wrong_kind("a whole number that is not negative"))
    }

    pub(crate) fn size(&self) -> Result<usize, Problem> {
        usize::try_from(self.integer()?).map_err(|_| self.wrong_kind("a smaller number"))
    }

    pub(crate) fn array(&self) -> Result<Vec<Node<'a>>, Problem> {
        if !self.is_array() {
            return Err(self.wrong_kind("a list"));
        }
        let items: Vec<&'a RawValue> = serde_json::from_str(self.raw).map_err(|_| self.wrong_kind("a list"))?;
        Ok(items.iter().enumerate().map(|(index, raw)| self.child(&index.to_string(), raw.get())).collect())
    }

    /// The members of an object whose names are free, in the order in which they are written.
    pub(crate) fn members(&self) -> Result<Vec<(String, Node<'a>)>, Problem> {
        if !self.is_object() {
            return Err(self.wrong_kind("an object"));
        }
        let members = serde_json::Deserializer::from_str(self.raw)
            .deserialize_map(MembersVisitor)
            .map_err(|_| self.wrong_kind("an object"))?;
        let mut nodes: Vec<(String, Node<'a>)> = Vec::with_capacity(members.len());
        for (name, raw) in members {
            let node = self.child(&name, raw.get());
            if nodes.iter().any(|(other, _)| *other == name) {
                return Err(node.problem(format!("`{name}` is there twice"), "keep one of the two"));
            }
            nodes.push((name, node));
        }
        Ok(nodes)
    }

    /// The members of an object that knows all its names.
    pub(crate) fn object(&self, known: &'static [&'static str]) -> Result<Object<'a>, Problem> {
        let members = self.members()?;
        for (name, node) in &members {
            if !known.contains(&name.as_str()) {
                let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? Known here are {all}"),
                    None => format!("known here are {all}"),
                };
                return Err(node.problem(format!("`{name}` is not known here"), hint));
            }
        }
        Ok(Object { node: self.clone(), members })
    }

    pub(crate) fn wrong_kind(&self, wanted: &str) -> Problem {
        let found = match self.raw.as_bytes().first() {
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            Some(b'"') => "a string".to_owned(),
            _ => format!("`{}`", self.raw),
        };
        self.problem(format!("this is {found}, and {wanted} is needed"), format!("write {wanted}"))
    }

    fn child(&self, name: &str, raw: &'a str) -> Node<'a> {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Node { document: self.document, raw, pointer: format!("{}/{escaped}", self.pointer) }
    }
}

/// An object whose names have been checked.
pub(crate) struct Object<'a> {
    pub(crate) node: Node<'a>,
    members: Vec<(String, Node<'a>)>,
}

impl<'a> Object<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, node)| node)
    }

    pub(crate) fn need(&self, name: &str, meaning: &str) -> Result<&Node<'a>, Problem> {
        self.get(name)
            .ok_or_else(|| self.node.problem(format!("`{name}` is missing"), format!("add `{name}`: {meaning}")))
    }

    /// What `read` makes of a member that may be missing.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'a>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.get(name).map(read).transpose()
    }

    /// The one of several members that is there; none or more than one is a problem.
    pub(crate) fn at_most_one(&self, names: &[&'static str]) -> Result<Option<(&'static str, &Node<'a>)>, Problem> {
        let mut found = None;
        for &name in names {
            let Some(node) = self.get(name) else { continue };
            if let Some((other, _)) = found {
                let message = format!("`{other}` and `{name}` exclude each other");
                return Err(node.problem(message, "keep the one that is meant"));
            }
            found = Some((name, node));
        }
        Ok(found)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
