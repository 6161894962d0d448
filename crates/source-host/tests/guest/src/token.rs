//! The exchange of the secret for a token.

use std::cell::RefCell;

use serde::Deserialize;
use waki::Response;

use crate::contract::{Delay, Failure};
use crate::{Config, fault};

thread_local! {
    static TOKEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The token endpoint's answer.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
}

/// What is sent as a bearer token: the secret itself, or a token for it.
pub(crate) fn bearer(config: &Config) -> Result<String, Failure> {
    let Some(url) = &config.token else { return Ok(config.secret.clone()) };
    if let Some(token) = TOKEN.with_borrow(Clone::clone) {
        return Ok(token);
    }
    let response = post(url, &format!("grant_type=client_credentials&client_secret={}", encoded(&config.secret)))?;
    let status = response.status_code();
    let body = response.body().map_err(|error| unavailable(error.to_string()))?;
    let said = || String::from_utf8_lossy(&body).into_owned();
    if status != 200 {
        return Err(Failure::Unauthenticated(fault("token.refused", said(), Some(status))));
    }
    let issued: Issued = serde_json::from_slice(&body).map_err(|error| {
        Failure::Rejected(fault("token.unreadable", format!("{error} in {}", said()), Some(status)))
    })?;
    TOKEN.set(Some(issued.access_token.clone()));
    Ok(issued.access_token)
}

/// Asks for another one the next time.
pub(crate) fn forget() {
    TOKEN.set(None);
}

/// Posts a form.
pub(crate) fn post(url: &str, form: &str) -> Result<Response, Failure> {
    waki::Client::new()
        .post(url)
        .headers([
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-length", form.len().to_string().as_str()),
        ])
        .body(form.as_bytes().to_vec())
        .send()
        .map_err(|error| unavailable(error.to_string()))
}

fn encoded(value: &str) -> String {
    let escape = |byte| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

fn unavailable(message: String) -> Failure {
    Failure::Unavailable(Delay { after: None, fault: fault("token.transport", message, None) })
}
