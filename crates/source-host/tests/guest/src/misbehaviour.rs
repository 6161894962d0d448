//! What a host has to survive.

use serde::Deserialize;
use waki::bindings::wasi::clocks::monotonic_clock;

use crate::contract::{Batch, Budget, Delay, Failure, Gap, GapCause, Instant, NextPoll, Payload};
use crate::{Config, fault, token};

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Misbehaviour {
    /// Computes for ever.
    Spin,
    /// Wants all the memory there is.
    Grow,
    /// Does what WebAssembly forbids.
    Trap,
    /// Calls the host for ever, without ever waiting.
    SpinCalls,
    /// Waits for ever.
    Sleep,
    /// Keeps one more timer, again and again.
    HoardHandles,
    /// Reads an answer to its end and forgets it.
    Drain,
    /// Names an origin in its plan that nobody expects.
    PlanForeign,
    /// Asks for an origin that its plan does not name.
    AskForeign,
    /// Asks for the next port of the machine that it may reach.
    AskPort,
    /// Puts a user before the host that it may reach.
    AskUser,
    /// Asks for the address that it may reach in other spellings.
    AskOdd,
    /// Makes more requests than its budget allows.
    Flood,
    /// Says that there is more and never moves.
    Stuck,
    /// Names no use of its secret in its plan.
    PlanNoSecret,
    /// Plans to send its secret to an origin that there is not.
    PlanNowhere,
    /// Sends its secret where it does not belong: in a query,
    SecretInQuery,
    /// in a header to the token endpoint,
    SecretInHeader,
    /// in another field of the right form,
    SecretInField,
    /// in the right field with something around it,
    SecretInPart,
    /// in the right form to the API,
    SecretAtApi,
    /// as JSON,
    SecretInJson,
    /// as a bearer token,
    SecretAsBearer,
    /// with another method.
    SecretPut,
    /// Sends its token where it does not belong: in a query,
    TokenInQuery,
    /// in another header,
    TokenInHeader,
    /// in a form,
    TokenInForm,
    /// to the token endpoint,
    TokenAtIssuer,
    /// changed.
    TokenChanged,
    /// Hands over a batch as large as its memory allows.
    HugeBatch,
    /// Hands over a checkpoint that is longer than it promises.
    LongCheckpoint,
    /// Hands over an event that nobody can tell from others.
    EmptyKey,
    /// Hands over a gap with what it read.
    Gap,
    /// Needs ten requests for a poll.
    ManyRequests,
    /// Holds itself back for half a minute, each time.
    HoldBack,
    /// Hands over what it has, and asks for more after a second.
    PutOff,
}

impl Misbehaviour {
    pub(crate) fn act(self, config: &Config, budget: Budget) -> Result<(), Failure> {
        match self {
            Self::Spin => loop {
                std::hint::spin_loop();
            },
            Self::Grow => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1; 1 << 20]));
                }
            }
            Self::Trap => std::process::abort(),
            Self::SpinCalls => loop {
                std::hint::black_box(monotonic_clock::now());
            },
            Self::HoardHandles => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(monotonic_clock::subscribe_duration(u64::MAX)));
                }
            }
            Self::Drain => drain(&format!("{}/drain", config.origin)),
            Self::Sleep => monotonic_clock::subscribe_duration(u64::MAX).block(),
            Self::AskForeign => ask("http://127.0.0.1:1/"),
            Self::AskPort => {
                if let Some((host, port)) = config.origin.rsplit_once(':') {
                    ask(&format!("{host}:{}/", port.parse::<u32>().unwrap_or_default() + 1));
                }
            }
            Self::AskUser => ask(&config.origin.replace("://", "://user@")),
            Self::AskOdd => {
                for spelling in ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]"]
                {
                    ask(&config.origin.replace("127.0.0.1", spelling));
                }
            }
            Self::Flood => (0..100).for_each(|_| ask(&config.origin)),
            Self::PlanForeign | Self::Stuck | Self::PlanNowhere | Self::PlanNoSecret => {}
            Self::HugeBatch | Self::LongCheckpoint | Self::EmptyKey | Self::Gap | Self::PutOff => {}
            Self::ManyRequests if budget.max_requests < 10 => {
                return Err(Failure::BudgetTooSmall(Budget { max_requests: 10, ..budget }));
            }
            Self::ManyRequests => {}
            Self::HoldBack => {
                let fault = fault("quota.used-up", "as many requests as it may".to_owned(), None);
                return Err(Failure::Throttled(Delay { after: Some(30_000_000_000), fault }));
            }
            smuggling => smuggling.smuggle(config)?,
        }
        Ok(())
    }
}

fn gap() -> Gap {
    Gap {
        key: "counter:gap".to_owned(),
        kind: "item".to_owned(),
        since: Instant { seconds: 0, nanoseconds: 0 },
        until: Instant { seconds: 1, nanoseconds: 0 },
        cause: GapCause::Expired,
        subject: None,
        detail: "nobody has them any more".to_owned(),
    }
}

impl Misbehaviour {
    /// Lies in what is handed over.
    pub(crate) fn forge(self, config: &Config, batch: &mut Batch) {
        match self {
            Self::PutOff => {
                ask(&config.origin);
                batch.gaps.push(gap());
                batch.next = NextPoll::After(1_000_000_000);
            }
            Self::HugeBatch => {
                for event in &mut batch.events {
                    event.body = Payload::Text("x".repeat(48 << 20));
                }
            }
            Self::LongCheckpoint => batch.checkpoint = "1".repeat(1_000),
            Self::Gap => batch.gaps.push(gap()),
            Self::EmptyKey => batch.events.iter_mut().for_each(|event| event.key.clear()),
            _ => {}
        }
    }

    /// Tries to make the host send what it holds elsewhere.
    fn smuggle(self, config: &Config) -> Result<(), Failure> {
        let Config { origin, secret, token, .. } = config;
        let issuer = token.as_deref().unwrap_or_default();
        let bearer = token::bearer(config)?;
        let with = |url: &str, header: &'static str, value: &str| {
            drop(waki::Client::new().get(url).headers([(header, value)]).send());
        };
        let body = |method, content_type: &'static str, body: String| {
            let request = waki::Client::new().request(method, issuer).headers([("content-type", content_type)]);
            drop(request.body(body.into_bytes()).send());
        };
        let form = |url: &str, form: String| drop(token::post(url, &form));
        match self {
            Self::SecretInQuery => ask(&format!("{issuer}?q={secret}")),
            Self::SecretInHeader => with(issuer, "x-secret", secret),
            Self::SecretInField => form(issuer, format!("client_secret={secret}&other={secret}")),
            Self::SecretInPart => form(issuer, format!("client_secret=x{secret}")),
            Self::SecretAtApi => form(origin, format!("client_secret={secret}")),
            Self::SecretInJson => {
                body(waki::Method::Post, "application/json", format!(r#"{{"client_secret":"{secret}"}}"#));
            }
            Self::SecretAsBearer => with(origin, "authorization", &format!("Bearer {secret}")),
            Self::SecretPut => {
                body(waki::Method::Put, "application/x-www-form-urlencoded", format!("client_secret={secret}"));
            }
            Self::TokenInQuery => ask(&format!("{origin}/items?q={bearer}")),
            Self::TokenInHeader => with(origin, "x-token", &bearer),
            Self::TokenInForm => form(issuer, format!("client_secret={bearer}")),
            Self::TokenAtIssuer => with(issuer, "authorization", &format!("Bearer {bearer}")),
            Self::TokenChanged => with(origin, "authorization", &format!("Bearer {bearer}x")),
            _ => {}
        }
        Ok(())
    }
}

/// Asks for a URL and does not care for the answer.
fn ask(url: &str) {
    drop(waki::Client::new().get(url).send());
}

fn drain(url: &str) {
    let Ok(response) = waki::Client::new().get(url).send() else { return };
    while let Ok(Some(_)) = response.chunk(64 << 10) {}
}
