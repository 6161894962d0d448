//! What Azure is to a program with a managed identity: who hands out its tokens, an API that takes no others, and a token
//! endpoint that takes them as assertions.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;

use crate::wire::{Request, accept};

/// The secret of the environment that App Service wants to see.
pub(crate) const HEADER: &str = "canary-853b9a84-5bfa-4b22";

/// What the application's own token is.
const EXCHANGED: &str = "canary-of-the-application";

/// The platform, with its token service and an API on one port.
#[derive(Clone)]
pub(crate) struct Platform {
    port: u16,
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    /// What requests for tokens have to ask for.
    pub(crate) resource: &'static str,
    pub(crate) client_id: Option<&'static str>,
    /// How long a token lives, and whether the last one is handed out again.
    pub(crate) life: Duration,
    pub(crate) hands_out_again: bool,
    /// How the next requests for tokens are answered in place of the truth, and all of them while it is down.
    pub(crate) answers: VecDeque<(u16, &'static str)>,
    pub(crate) is_down: bool,
    /// What its tokens say of themselves; without it nothing.
    pub(crate) claims: Option<&'static str>,
    /// How the API answers whoever has a good token, in place of no detections.
    pub(crate) api_status: u16,
    asked: usize,
    /// When each token was issued.
    issued: Vec<Instant>,
    /// Tokens of lower numbers are not taken any more.
    good_from: usize,
    /// What the API made of each request: the number of the token, or the header that it refused.
    verdicts: Vec<Result<usize, String>>,
    /// What was wrong with requests for tokens.
    violations: Vec<String>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            resource: "https://graph.windows.net",
            client_id: None,
            life: Duration::from_secs(86_400),
            hands_out_again: false,
            answers: VecDeque::new(),
            is_down: false,
            claims: None,
            api_status: 200,
            asked: 0,
            issued: Vec::new(),
            good_from: 0,
            verdicts: Vec::new(),
            violations: Vec::new(),
        };
        let platform = Self { port, state: Arc::new(Mutex::new(state)) };
        let accepting = platform.clone();
        accept(listener, move |stream| accepting.serve(stream));
        platform
    }

    /// Where the API is.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What stands in the environment of an app.
    pub(crate) fn app(&self) -> [(&'static str, String); 2] {
        let endpoint = format!("http://localhost:{}/msi/token", self.port);
        [("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", HEADER.to_owned())]
    }

    /// What stands in the environment in place of the address of the metadata service.
    pub(crate) fn virtual_machine(&self) -> [(&'static str, String); 1] {
        [("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("http://localhost:{}", self.port))]
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes no token any more that was issued so far.
    pub(crate) fn revoke(&self) {
        let mut state = self.state();
        state.good_from = state.issued.len();
    }

    /// How often the API was asked with the token of this number, or one that came later, and took it.
    pub(crate) fn taken_from(&self, number: usize) -> usize {
        self.state().verdicts.iter().filter(|verdict| verdict.as_ref().is_ok_and(|taken| *taken >= number)).count()
    }

    /// How often it was asked for a token.
    pub(crate) fn asked(&self) -> usize {
        self.state().asked
    }

    /// How many requests came to the API.
    pub(crate) fn requests(&self) -> usize {
        self.state().verdicts.len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.state().verdicts.iter().filter(|verdict| verdict.is_err()).count()
    }

    #[track_caller]
    pub(crate) fn assert_asked_right(&self) {
        let violations = &self.state().violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { return };
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let (status, body) = match path {
            "/metadata/identity/oauth2/token" => {
                self.state().identity(&request, query, "2018-02-01", ("metadata", "true"))
            }
            "/msi/token" => self.state().identity(&request, query, "2019-08-01", ("x-identity-header", HEADER)),
            _ if path.ends_with("/token") => self.state().exchange(&request),
            _ => self.state().api(&request),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n");
        // A client that went away has its reasons.
        drop(stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()));
    }
}

impl State {
    fn identity(&mut self, request: &Request, query: &str, version: &str, header: (&str, &str)) -> (u16, String) {
        self.asked += 1;
        let mut expected = BTreeMap::from([("api-version", version), ("resource", self.resource)]);
        expected.extend(self.client_id.map(|client_id| ("client_id", client_id)));
        let has_header = request.headers.get(header.0).map(String::as_str) == Some(header.1);
        let asked = form(query);
        let asked: BTreeMap<&str, &str> = asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if asked != expected || !has_header || !request.head.starts_with("GET ") {
            self.violations.push(request.head.clone());
        }
        if self.is_down {
            return (503, String::new());
        }
        if let Some((status, body)) = self.answers.pop_front() {
            return (status, body.to_owned());
        }
        if !self.hands_out_again || self.issued.is_empty() {
            self.issued.push(Instant::now());
        }
        let life = self.life.as_secs();
        // An app is told the time alone.
        let life = if version == "2018-02-01" {
            format!(r#""expires_in":"{life}""#)
        } else {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            format!(r#""expires_on":"{}""#, now + life)
        };
        let token = self.token(self.issued.len() - 1);
        (200, format!(r#"{{"access_token":"{token}","token_type":"Bearer",{life},"resource":"{}"}}"#, self.resource))
    }

    /// An application that trusts the identity.
    fn exchange(&mut self, request: &Request) -> (u16, String) {
        let form = form(std::str::from_utf8(&request.body).unwrap());
        let newest = self.token(self.issued.len() - 1);
        if form.get("client_assertion") != Some(&newest) {
            self.violations.push(format!("{form:?}"));
        }
        (200, format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{EXCHANGED}"}}"#))
    }

    /// The token of this number.
    fn token(&self, number: usize) -> String {
        match self.claims {
            Some(claims) => {
                let [header, claims] = [r#"{"alg":"RS256"}"#, claims].map(|part| BASE64URL.encode(part));
                format!("{header}.{claims}.canary-signature-{number}")
            }
            None => format!("canary.identity~{number}+/"),
        }
    }

    fn api(&mut self, request: &Request) -> (u16, String) {
        let shown = request.headers.get("authorization").cloned().unwrap_or_default();
        let number = (0..self.issued.len()).find(|number| shown == format!("Bearer {}", self.token(*number)));
        let is_good = |number: &usize| *number >= self.good_from && self.issued[*number].elapsed() < self.life;
        let verdict = match number.filter(is_good) {
            Some(number) => Ok(number),
            None if shown == format!("Bearer {EXCHANGED}") => Ok(0),
            None => Err(shown),
        };
        let status = if verdict.is_ok() { self.api_status } else { 401 };
        self.verdicts.push(verdict);
        (status, if status == 200 { "[]".to_owned() } else { String::new() })
    }
}

fn form(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
