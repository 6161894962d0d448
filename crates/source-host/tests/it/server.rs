//! A server of numbered items, with the bad days of a real one.

use std::collections::VecDeque;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::wire::{Request, accept};

/// When the year 2010 began, in seconds since 1970.
const BEGINNING: usize = 1_262_304_000;

/// What stands in place of the next honest answer.
pub(crate) enum Answer {
    /// These bytes, and the connection stays open.
    Raw(Vec<u8>),
    /// These bytes, and the connection is closed.
    Cut(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Silence,
    /// These bytes, and then these again and again for as long as the client takes them.
    Endless(Vec<u8>, Vec<u8>),
}

impl Answer {
    pub(crate) fn status(status: u16, headers: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\n{headers}\r\n").into_bytes())
    }
}

#[derive(Default)]
struct State {
    items: Vec<String>,
    answers: VecDeque<Answer>,
    given: usize,
    requests: Vec<String>,
    /// What is accepted in place of the secret.
    token: Option<String>,
}

/// Answers `GET /items?after=N&max=M` with items of higher numbers, one JSON object a line, to whoever has the secret.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

pub(crate) const SECRET: &str = "canary-7f3a+/=&%";

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let accepting = server.clone();
        accept(listener, move |stream| accepting.serve(stream));
        server
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets in whoever has this token, and not the secret any more.
    pub(crate) fn accept(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    /// Adds items up to this number; item N happened N seconds after [`BEGINNING`].
    pub(crate) fn grow_to(&self, last: usize) {
        let mut state = self.state.lock().unwrap();
        for id in state.items.len() + 1..=last {
            let time = BEGINNING + id;
            state.items.push(format!(r#"{{"id":{id},"time":{time},"name":"item {id}"}}"#));
        }
    }

    /// Adds one item with a name of this many bytes.
    pub(crate) fn add_large(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        let id = state.items.len() + 1;
        let time = BEGINNING + id;
        state.items.push(format!(r#"{{"id":{id},"time":{time},"name":"{}"}}"#, "x".repeat(bytes)));
    }

    /// Answers the next request so, in place of the truth; says how many such answers were given before.
    pub(crate) fn next_answer(&self, answer: Answer) -> usize {
        let mut state = self.state.lock().unwrap();
        state.answers.push_back(answer);
        state.given
    }

    /// How many answers were given in place of the truth.
    pub(crate) fn answers_given(&self) -> usize {
        self.state.lock().unwrap().given
    }

    /// Answers the next request with an item that makes the component trap.
    pub(crate) fn next_traps(&self) {
        let body = r#"{"id":1,"time":1,"name":"","trap":true}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        self.next_answer(Answer::Raw(format!("{head}{body}").into_bytes()));
    }

    /// The paths asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(Request { path, headers, .. }) = Request::read(&mut reader) {
            let bearer = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
            let answer = {
                let mut state = self.state.lock().unwrap();
                let authorized = bearer == Some(state.token.as_deref().unwrap_or(SECRET));
                state.requests.push(path.clone());
                match state.answers.pop_front() {
                    Some(answer) => {
                        state.given += 1;
                        answer
                    }
                    None if !authorized => Answer::status(401, ""),
                    None => Answer::Raw(honest(&state.items, &path)),
                }
            };
            let written = match &answer {
                Answer::Raw(bytes) | Answer::Cut(bytes) => stream.write_all(bytes),
                Answer::Endless(first, next) => {
                    let begun = stream.write_all(first);
                    begun.and_then(|()| {
                        std::iter::repeat_with(|| stream.write_all(next)).find(Result::is_err).unwrap_or(Ok(()))
                    })
                }
                // Returns when the client gives up.
                Answer::Silence => reader.read(&mut [0]).map(drop),
            };
            if written.is_err() || !matches!(answer, Answer::Raw(_)) {
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

fn honest(items: &[String], path: &str) -> Vec<u8> {
    let query = |name: &str| {
        let (_, query) = path.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
    };
    let second = |name: &str| query(name).map(|time| time.saturating_sub(BEGINNING));
    let first = query("after").unwrap_or(0).max(second("since").unwrap_or(1).saturating_sub(1));
    let last = items.len().min(second("until").map_or(usize::MAX, |until| until.saturating_sub(1)));
    let wanted = items.get(first..last).unwrap_or_default();
    let body =
        wanted.iter().take(query("max").unwrap_or(usize::MAX)).fold(String::new(), |body, item| body + item + "\n");
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
