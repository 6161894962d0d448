//! A token endpoint: it exchanges the right secret for a token, and remembers everything that it was sent.

use std::collections::VecDeque;
use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::server::SECRET;
use crate::wire::{Request, accept};

/// The secret as a form carries it.
pub(crate) const ENCODED_SECRET: &str = "canary-7f3a%2B%2F%3D%26%25";

/// A token that says nothing.
pub(crate) const OPAQUE: &str = "canary.token~4d1e+/0123456789";

/// Header and claims of a JWT.
pub(crate) const CLAIMS: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJ4In0";

/// And its signature.
pub(crate) const SIGNATURE: &str = "Y2FuYXJ5LXNpZ25hdHVyZS0wMTIzNDU2Nzg5";

/// Answers `POST /token`.
#[derive(Clone)]
pub(crate) struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    secret: String,
    token: String,
    answers: VecDeque<String>,
    requests: Vec<String>,
}

impl Issuer {
    /// One that issues this token.
    pub(crate) fn start(token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let secret = ENCODED_SECRET.to_owned();
        let state = State { secret, token: token.to_owned(), answers: VecDeque::new(), requests: Vec::new() };
        let issuer = Self { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let accepting = issuer.clone();
        accept(listener, move |stream| accepting.serve(stream));
        issuer
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/token", self.origin())
    }

    /// From now on this secret is the right one, and this token is issued.
    pub(crate) fn rotate(&self, encoded_secret: &str, token: &str) {
        let mut state = self.state.lock().unwrap();
        (state.secret, state.token) = (encoded_secret.to_owned(), token.to_owned());
    }

    /// Answers the next request so, in place of the truth; then the connection is closed.
    pub(crate) fn next_answer(&self, status: u16, headers: &str, body: &str) {
        let length =
            if headers.contains("length") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let answer = format!("HTTP/1.1 {status} Status\r\n{headers}{length}connection: close\r\n\r\n{body}");
        self.state.lock().unwrap().answers.push_back(answer);
    }

    /// What was sent so far, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { return };
        let body = String::from_utf8(request.body).unwrap();
        let mut state = self.state.lock().unwrap();
        let right = body.split('&').any(|field| field.strip_prefix("client_secret=") == Some(&state.secret));
        let honest = match (request.headers.get("content-length"), right) {
            (None, _) => answer(411, "{}"),
            (_, true) => {
                let token = &state.token;
                answer(200, &format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#))
            }
            _ => answer(401, r#"{"error":"invalid_client"}"#),
        };
        state.requests.push(request.head + &body);
        let answer = state.answers.pop_front().unwrap_or(honest);
        drop(state);
        // A client that went away has its reasons.
        drop(stream.write_all(answer.as_bytes()));
    }
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Whether nothing of the secret or a token stands there, however it is written.
pub(crate) fn is_clean(bytes: &[u8]) -> bool {
    let canaries = [SECRET, ENCODED_SECRET, OPAQUE, SIGNATURE];
    canaries.iter().all(|canary| memchr::memmem::find(bytes, canary.as_bytes()).is_none())
}
