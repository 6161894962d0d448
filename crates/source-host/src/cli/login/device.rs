//! The device code: a person types it in a browser anywhere, and this program asks until that is done.

use std::time::Duration;

use serde_json::{Map, Value};
use source_host::SecretValue;
use tokio::time::{Instant, sleep};

use super::super::print;
use super::super::report::{Report, one_line};
use super::authority::{Answer, Authority};

/// Between two questions, where the server says nothing, and what is added where it is asked too often. Source: RFC 8628,
/// sections 3.2 and 3.5.
const INTERVAL: Duration = Duration::from_secs(5);

/// The longest interval that is believed.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// How long a code lives, where the server says nothing.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

pub(super) async fn log_in(authority: &Authority) -> Result<SecretValue, Report> {
    let asked = authority.device_code().await?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // Version 1 of the endpoint calls it a URL.
    let address = text("verification_uri").or_else(|| text("verification_url"));
    let (Some(device_code), Some(user_code), Some(address)) = (text("device_code"), text("user_code"), address) else {
        return Err(Report::failed("the device code came without what a person needs of it")
            .hint("check `endpoints.token`, or log in without --device-code"));
    };
    print(&format!(
        "Open this address on any device, and type the code {}:\n\n  {}\n",
        one_line(user_code),
        one_line(address)
    ))?;
    let mut interval = seconds(&asked, "interval").unwrap_or(INTERVAL).clamp(Duration::from_secs(1), LONGEST_INTERVAL);
    let ends = Instant::now() + seconds(&asked, "expires_in").unwrap_or(LIFETIME).min(LIFETIME);
    // One of the two names is each version's.
    let name = if authority.is_v1() { "code" } else { "device_code" };
    let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), (name, device_code)];
    let mut trouble = None;
    while Instant::now() < ends {
        sleep(interval).await;
        let answer = authority.redeem(&grant).await?;
        (interval, trouble) = match &answer {
            Answer::Tokens(refresh_token) => return Ok(refresh_token.clone()),
            Answer::Refused(refusal) => match refusal.word() {
                "authorization_pending" => (interval, None),
                "slow_down" => ((interval + INTERVAL).min(LONGEST_INTERVAL), None),
                // The person may be at it all the same.
                _ if refusal.passes() => (later(interval, &refusal.said()), Some(answer)),
                _ => return Err(authority.explain("the login was not completed", refusal).await),
            },
            Answer::Silence(why) => (later(interval, why), Some(answer)),
        };
    }
    let what = "the login was not completed before the code ended";
    Err(match trouble {
        // The person may have been done with it, and nobody would know.
        Some(Answer::Refused(refusal)) => authority.explain(what, &refusal).await,
        Some(Answer::Silence(why)) => {
            Report::failed(what).because(why).hint("check the network, and `endpoints.token`; then begin again")
        }
        _ => Report::refused(what)
            .because("expired_token: nobody typed the code in time")
            .hint("the code was not used in time: begin again"),
    })
}

/// A longer interval, after what may pass.
fn later(interval: Duration, why: &str) -> Duration {
    tracing::warn!("{why}; it is asked again");
    (interval * 2).min(LONGEST_INTERVAL)
}

/// A number of seconds, which version 1 of the endpoint writes as a text.
fn seconds(answer: &Map<String, Value>, name: &str) -> Option<Duration> {
    let value = answer.get(name)?;
    let seconds = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(Duration::from_secs(seconds))
}
