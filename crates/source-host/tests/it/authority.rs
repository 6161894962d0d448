//! An authorization server for users: it verifies what OAuth and Microsoft ask of each request, hands out refresh tokens
//! that replace one another, and remembers what was wrong.
//!
//! Sources: RFC 6749, sections 4.1 and 6; RFC 7636, section 4.6; RFC 8628, section 3.4.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use sha2::{Digest as _, Sha256};

use crate::wire::{Request, accept};

pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const AUDIENCE: &str = "https://graph.windows.net";
const ACCESS_TOKEN: &str = "canary-access-token";

type Form = BTreeMap<String, String>;
type Hook = dyn Fn(&Authority) + Send + Sync;

/// The server. Its paths with `v2.0` ask for a scope, the others for a resource.
#[derive(Clone)]
pub(crate) struct Authority {
    origin: String,
    state: Arc<Mutex<State>>,
    at_api: Arc<Hook>,
}

#[derive(Default)]
pub(crate) struct State {
    /// How many refresh tokens were issued.
    pub(crate) issued: usize,
    /// Those that were sent.
    pub(crate) presented: Vec<String>,
    /// What was wrong with requests.
    pub(crate) violations: Vec<String>,
    /// How the next requests for tokens by a device code are answered: an `error`, or nothing for the tokens.
    pub(crate) device_answers: VecDeque<&'static str>,
    /// When those came.
    pub(crate) polled: Vec<Instant>,
    /// How the next requests for codes and tokens are answered in place of that: status, headers and body.
    pub(crate) answers: VecDeque<(u16, &'static str, &'static str)>,
    /// What proves the application, where it is no public client.
    pub(crate) client_secret: Option<&'static str>,
    /// How often another one was sent.
    pub(crate) refused_secrets: usize,
    /// The access token that it issues, in place of one that says nothing.
    pub(crate) access_token: Option<String>,
    /// How the API answers, in place of no detections.
    pub(crate) api_answer: Option<(u16, &'static str)>,
    /// The challenge and the redirect URI of each code that was issued.
    codes: BTreeMap<String, (String, String)>,
}

impl Authority {
    /// One that issues tokens. `at_api` is called at each request to the API, before it is answered.
    pub(crate) fn start(at_api: impl Fn(&Self) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let authority = Self { origin, state: Arc::default(), at_api: Arc::new(at_api) };
        let accepting = authority.clone();
        accept(listener, move |stream| accepting.serve(stream));
        authority
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The newest refresh token.
    pub(crate) fn newest(&self) -> String {
        refresh_token(self.state().issued)
    }

    #[track_caller]
    pub(crate) fn assert_all_right(&self) {
        let violations = &self.state().violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { return };
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let is_v2 = path.contains("/oauth2/v2.0/");
        let neighbour = path.rsplit('/').next().unwrap();
        let answer = if neighbour == "authorize" { None } else { self.state().answers.pop_front() };
        let (status, header, body) = match neighbour {
            _ if let Some((status, header, body)) = answer => (status, header.to_owned(), body.to_owned()),
            "authorize" => self.authorize(&form(query), is_v2),
            "devicecode" => self.device_code(&form(&text(&request)), is_v2),
            "token" => self.token(&form(&text(&request)), is_v2),
            _ => {
                (self.at_api)(self);
                let state = self.state();
                let expected = format!("Bearer {}", state.access_token());
                let is_right = request.headers.get("authorization") == Some(&expected);
                let (status, body) = if is_right { state.api_answer.unwrap_or((200, "[]")) } else { (401, "") };
                (status, String::new(), body.to_owned())
            }
        };
        let length = body.len();
        let of_type = if header.contains("content-type") { "" } else { "content-type: application/json\r\n" };
        let head = format!("HTTP/1.1 {status} Status\r\n{of_type}connection: close\r\n");
        // A client that went away has its reasons.
        drop(stream.write_all(format!("{head}{header}content-length: {length}\r\n\r\n{body}").as_bytes()));
    }

    fn authorize(&self, query: &Form, is_v2: bool) -> (u16, String, String) {
        let mut state = self.state();
        let value = |name: &str| query.get(name).cloned().unwrap_or_default();
        let expected = [
            ("client_id", CLIENT),
            ("code_challenge_method", "S256"),
            ("response_mode", "query"),
            ("response_type", "code"),
            target(is_v2),
        ];
        let is_redirect = value("redirect_uri").starts_with("http://localhost:");
        if !has(query, &expected) || value("state").len() < 22 || value("code_challenge").len() != 43 || !is_redirect {
            state.violations.push(format!("authorize: {query:?}"));
        }
        let code = format!("canary-code-{}", state.codes.len());
        state.codes.insert(code.clone(), (value("code_challenge"), value("redirect_uri")));
        let to = format!("location: {}?code={code}&state={}\r\n", value("redirect_uri"), value("state"));
        (302, to, String::new())
    }

    fn device_code(&self, form: &Form, is_v2: bool) -> (u16, String, String) {
        if !has(form, &[("client_id", CLIENT), target(is_v2)]) {
            self.state().violations.push(format!("device code: {form:?}"));
        }
        // Version 1 of the endpoint has another name for the address, and numbers as strings.
        let body = if is_v2 {
            r#"{"device_code":"canary-device","user_code":"ABC-DEF","verification_uri":"https://login.example/device","expires_in":900,"interval":1}"#
        } else {
            r#"{"device_code":"canary-device","user_code":"ABC-DEF","verification_url":"https://login.example/device","expires_in":"900","interval":"1"}"#
        };
        (200, String::new(), body.to_owned())
    }

    fn token(&self, form: &Form, is_v2: bool) -> (u16, String, String) {
        let mut state = self.state();
        let value = |name: &str| form.get(name).cloned().unwrap_or_default();
        let expected = [("client_id", CLIENT), target(is_v2)];
        let mut fields = 4;
        if let Some(secret) = state.client_secret {
            if value("client_secret") != secret {
                state.refused_secrets += 1;
                return (401, String::new(), r#"{"error":"invalid_client","error_codes":[7000222]}"#.to_owned());
            }
            fields += 1;
        }
        let is_right = match value("grant_type").as_str() {
            "refresh_token" => {
                let token = value("refresh_token");
                // One is good until one that was issued after it has been used.
                let is_good = state.good().any(|good| good == token);
                state.presented.push(token);
                is_good
            }
            "authorization_code" => {
                fields += 2;
                let challenge = BASE64URL.encode(Sha256::digest(value("code_verifier")));
                state.codes.remove(&value("code")) == Some((challenge, value("redirect_uri")))
            }
            "urn:ietf:params:oauth:grant-type:device_code" => {
                state.polled.push(Instant::now());
                if let Some(error) = state.device_answers.pop_front().filter(|error| !error.is_empty()) {
                    let body = format!(r#"{{"error":"{error}","error_description":"AADSTS1: Of the test."}}"#);
                    return (400, String::new(), body);
                }
                value(if is_v2 { "device_code" } else { "code" }) == "canary-device"
            }
            _ => false,
        };
        if !is_right || !has(form, &expected) || form.len() != fields {
            state.violations.push(format!("token: {form:?}"));
            return (400, String::new(), r#"{"error":"invalid_grant","error_codes":[70008]}"#.to_owned());
        }
        state.issued += 1;
        let access_token = state.access_token();
        let refresh_token = refresh_token(state.issued);
        // A token of a second makes every poll ask for another.
        let body = format!(
            r#"{{"token_type":"Bearer","expires_in":"1","access_token":"{access_token}","refresh_token":"{refresh_token}"}}"#
        );
        (200, String::new(), body)
    }
}

impl State {
    fn access_token(&self) -> &str {
        self.access_token.as_deref().unwrap_or(ACCESS_TOKEN)
    }

    /// The refresh tokens that are taken now.
    pub(crate) fn good(&self) -> impl Iterator<Item = String> {
        let is_used = |number: &usize| self.presented.contains(&refresh_token(*number));
        let last_used = (0..=self.issued).rev().find(is_used).unwrap_or_default();
        (last_used..=self.issued).map(refresh_token)
    }
}

/// The refresh token of this number. Those of Microsoft have dots as well.
pub(crate) fn refresh_token(number: usize) -> String {
    format!("0.canary-refresh+{number}/")
}

/// What the tokens of a user are for, as each version of the endpoint has it.
fn target(is_v2: bool) -> (&'static str, &'static str) {
    if is_v2 { ("scope", "https://graph.windows.net/.default offline_access") } else { ("resource", AUDIENCE) }
}

fn has(form: &Form, expected: &[(&str, &str)]) -> bool {
    expected.iter().all(|(name, value)| form.get(*name).map(String::as_str) == Some(value))
}

fn text(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

fn form(text: &str) -> Form {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
