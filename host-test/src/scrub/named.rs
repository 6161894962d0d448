//! Secrets that are known by the name that they stand under, or by what they look like.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use scenario::{Answer, Interaction, JsonBody, Pattern, RecordedBody, Response, shapes};
use serde_json::Value;

use super::json::{self, Kind, Piece};
use super::{Scrubber, link, swept};

impl Scrubber {
    /// A configuration; `secrets` are members that are known to be, whatever they are called.
    pub(super) fn config(&mut self, config: &mut Value, secrets: &[String]) {
        for pointer in secrets {
            let name = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            if let Some(Value::String(value)) = config.pointer_mut(pointer) {
                *value = self.known.give(&name, value);
            }
        }
        let text = json::rewritten(&config.to_string(), |piece| self.piece(piece));
        // What was JSON still is: only texts were replaced.
        if let Ok(value) = serde_json::from_str(&text) {
            *config = value;
        }
    }

    /// A request, and then its answer: what the source sends it was given before.
    pub(super) fn interaction(&mut self, interaction: &mut Interaction) {
        let request = &mut interaction.request;
        request.path = self.text(&request.path);
        for (name, value) in &mut request.query {
            self.member(name, value);
        }
        for (name, value) in &mut request.headers {
            self.header(name, value);
        }
        match &mut request.body {
            RecordedBody::Empty | RecordedBody::Bytes(_) => {}
            RecordedBody::Form(form) => form.iter_mut().for_each(|(name, value)| self.member(name, value)),
            RecordedBody::Json(document) => self.json_body(document),
            RecordedBody::Text(whole) => {
                if let Pattern::Exact(text) = whole {
                    *text = self.text(text);
                }
            }
        }
        if let Answer::Response(answer) = &mut interaction.answer {
            self.answer(answer);
        }
    }

    fn member(&mut self, name: &str, value: &mut Pattern) {
        let Pattern::Exact(text) = value else { return };
        *value = if self.names.hide_member(name) { self.sent(name, text) } else { Pattern::Exact(self.text(text)) };
    }

    /// What a source has to send in place of a secret: its placeholder, or anything where it made the secret by itself.
    fn sent(&mut self, name: &str, value: &str) -> Pattern {
        self.known.sent(name, value).map_or_else(|| Pattern::Glob("*".to_owned()), Pattern::Exact)
    }

    fn header(&mut self, name: &str, value: &mut Pattern) {
        let Pattern::Exact(text) = value else { return };
        *value = match name.to_ascii_lowercase().as_str() {
            "authorization" | "proxy-authorization" => self.authorization(text),
            "cookie" => self.cookies(text),
            _ if self.names.hide(name) => self.sent(name, text),
            _ => Pattern::Exact(self.text(text)),
        };
    }

    fn authorization(&mut self, value: &str) -> Pattern {
        let Some((scheme, credential)) = value.split_once(' ') else { return self.sent("authorization", value) };
        let instead = if scheme.eq_ignore_ascii_case("Basic") {
            self.basic(credential)
        } else {
            let kind = if scheme.eq_ignore_ascii_case("Bearer") { "access-token" } else { "authorization" };
            self.known.sent(kind, credential)
        };
        match instead {
            Some(instead) => Pattern::Exact(format!("{scheme} {instead}")),
            None => Pattern::Glob(format!("{scheme} *")),
        }
    }

    /// User and password, encoded.
    fn basic(&mut self, credential: &str) -> Option<String> {
        let decoded = STANDARD.decode(credential).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = decoded.as_deref().and_then(|decoded| decoded.split_once(':')) else {
            return self.known.sent("authorization", credential);
        };
        let instead = self.known.sent("password", password)?;
        Some(STANDARD.encode(format!("{user}:{instead}")))
    }

    fn cookies(&mut self, value: &str) -> Pattern {
        let mut is_exact = true;
        let pairs: Vec<String> = value
            .split("; ")
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => match self.known.sent("cookie", value) {
                    Some(instead) => format!("{name}={instead}"),
                    None => {
                        is_exact = false;
                        format!("{name}=*")
                    }
                },
                None => pair.to_owned(),
            })
            .collect();
        let pairs = pairs.join("; ");
        if is_exact { Pattern::Exact(pairs) } else { Pattern::Glob(pairs) }
    }

    /// What the source sends in JSON, it may have made by itself as well.
    fn json_body(&mut self, document: &mut JsonBody) {
        let mut made = Vec::new();
        self.own_texts("", "", &mut document.value, &mut made);
        for pointer in made {
            if document.patterns.iter().all(|(known, _)| *known != pointer) {
                document.patterns.push((pointer, Pattern::Glob("*".to_owned())));
            }
        }
    }

    /// Replaces the secrets of a value, and notes the JSON Pointers of those that the source made by itself.
    fn own_texts(&mut self, pointer: &str, name: &str, value: &mut Value, made: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    self.own_texts(&below, name, value, made);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    self.own_texts(&format!("{pointer}/{index}"), name, value, made);
                }
            }
            Value::String(text) if self.names.hide_value(name, text) => match self.known.sent(name, text) {
                Some(instead) => *text = instead,
                None => {
                    // Whatever comes matches, so that its placeholder may stand there.
                    *text = self.known.instead_of(text);
                    made.push(pointer.to_owned());
                }
            },
            Value::String(text) => *text = self.text(text),
            Value::Number(number) if self.names.hide(name) => {
                *value = Value::String(self.known.give(name, &number.to_string()));
            }
            _ => {}
        }
    }

    fn answer(&mut self, answer: &mut Response) {
        for (name, value) in &mut answer.headers {
            *value = match name.to_ascii_lowercase().as_str() {
                "set-cookie" => self.set_cookie(value),
                _ if self.names.hide(name) => self.known.give(name, value),
                _ => self.text(value),
            };
        }
        // Of other bytes than text only what was learnt elsewhere can be told.
        let Ok(body) = std::str::from_utf8(&answer.body) else { return };
        let body = if json::is_json(body) { json::rewritten(body, |piece| self.piece(piece)) } else { self.text(body) };
        swept::replace_body(answer, body.into_bytes());
    }

    fn set_cookie(&mut self, value: &str) -> String {
        let (pair, rest) = value.find(';').map_or((value, ""), |at| value.split_at(at));
        match pair.split_once('=') {
            Some((name, value)) => format!("{name}={}{rest}", self.known.give("cookie", value)),
            None => format!("{}{rest}", self.known.give("cookie", pair)),
        }
    }

    /// What stands in place of a piece of a document that the source was given.
    fn piece(&mut self, piece: &Piece) -> Option<String> {
        if piece.kind == Kind::Name {
            return None;
        }
        if self.names.hide_value(&piece.name, &piece.text) {
            let instead = self.known.give(&piece.name, &piece.text);
            return (instead != piece.text).then_some(instead);
        }
        if piece.kind == Kind::Number {
            return None;
        }
        // A document within a document.
        let text = if json::is_json(&piece.text) && !piece.text.starts_with('"') {
            json::rewritten(&piece.text, |piece| self.piece(piece))
        } else {
            self.text(&piece.text)
        };
        (text != piece.text).then_some(text)
    }

    /// A text without the secrets of its links and those that are known by their looks.
    fn text(&mut self, text: &str) -> String {
        // A secret may look like several members of a form.
        let text = &self.known.hidden(text);
        let mut edits: Vec<(usize, usize, String)> = Vec::new();
        for member in link::members(text) {
            if self.names.hide_in_link(&member.name, &member.value) {
                let instead = self.known.give(&member.name, &member.value);
                edits.push((member.start, member.start + member.written.len(), instead));
            }
        }
        if let Some((start, password)) = link::password(text) {
            let instead = self.known.give("password", password);
            edits.push((start, start + password.len(), instead));
        }
        for shape in shapes(text) {
            let instead = self.known.give(shape.kind, &text[shape.at.clone()]);
            edits.push((shape.at.start, shape.at.end, instead));
        }
        edits.sort();
        let mut replaced = String::with_capacity(text.len());
        let mut end = 0;
        for (start, stop, instead) in edits {
            if start >= end {
                replaced.push_str(&text[end..start]);
                replaced.push_str(&instead);
                end = stop;
            }
        }
        replaced.push_str(&text[end..]);
        replaced
    }
}
