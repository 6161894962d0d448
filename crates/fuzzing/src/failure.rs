//! Answers of the token endpoint, and errors of both.

use std::sync::LazyLock;

use defender_core::config::Config;
use defender_core::contract::{Delay, Diagnostic, Failure, Fault};
use defender_core::failure::{PageFault, no_answer, page_failure, transport_failure};
use defender_core::http::{MAX_RETRY_AFTER, ResponseHead, TransportFailure, TransportFailureKind};
use defender_core::tick::{Now, Tick};
use defender_core::token::{MAX_LIFETIME, read_token};

use crate::{Reached, canary};

/// The longest sentence that is shown, in bytes: a few quotations of 200 characters each.
const MAX_SHOWN: usize = 8 * 1024;

/// The member that a token stands in: its value may be longer.
const MEMBER: &str = "\"access_token\":\"sijsje7T.a-b_c";

/// Whatever the token endpoint answers, it is a token that a header can carry or a failure that is fit to be shown.
///
/// The text is an answer: a line with the status, lines with headers, an empty line, the body. `canary::with_secrets`
/// says how secrets are written.
pub fn token_answer(data: &[u8]) -> Reached {
    let (mut head, mut body) = answer_of(data);
    head.headers.iter_mut().for_each(|(_, value)| *value = value.replace(canary::TOKEN, "t"));
    // A token elsewhere than where tokens stand is not known to be one.
    canary::replace(&mut body, MEMBER.as_bytes(), b"@ACCESS@");
    canary::replace(&mut body, canary::TOKEN.as_bytes(), b"t");
    canary::replace(&mut body, b"@ACCESS@", MEMBER.as_bytes());
    match read_token(&head, &body, now(), &configs()[0]) {
        Ok(token) => {
            canary::check(&token);
            let bearer = token.bearer().expose();
            assert!(!bearer.is_empty() && bearer.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!((1..=MAX_LIFETIME).contains(&token.usable_for()));
            Reached::from(["token"])
        }
        Err(failure) => Reached::from([check(failure)]),
    }
}

/// Whatever the endpoint of any API answers, or the host says of the connection, the failure is fit to be shown, and names the API.
///
/// The text is as for [`token_answer`]; the body serves as the host's words as well.
pub fn api_failure(data: &[u8]) -> Reached {
    let (head, body) = answer_of(data);
    let mut reached = Reached::new();
    let bearer = defender_core::secret::Secret::new(canary::TOKEN);
    for config in apis() {
        for mut failure in
            [defender_core::failure::api_failure(&head, &body, now(), config), no_answer(&head, &body, config)]
        {
            failure.redact(&bearer);
            let code = failure.fault_mut().map(|fault| fault.code.clone()).unwrap_or_default();
            if let Some(things) = code.strip_prefix("http.not-") {
                assert_eq!(things, config.protocol.things);
                reached.insert(config.protocol.title);
            }
            reached.insert(check(failure));
        }
    }
    // In these an API has a few words of its own: one at a time, which is faster.
    let config = &apis()[data.len() % apis().len()];
    for fault in [PageFault::Refused, PageFault::Elsewhere, PageFault::Endless] {
        let mut failure = page_failure(fault, &head, &body, config);
        failure.redact(&bearer);
        reached.insert(check(failure));
    }
    check_transport(&head, &body, config, &mut reached);
    reached
}

fn check_transport(head: &ResponseHead, body: &[u8], config: &Config, reached: &mut Reached) {
    let kinds = [
        TransportFailureKind::Denied,
        TransportFailureKind::Dns,
        TransportFailureKind::Connect,
        TransportFailureKind::Tls,
        TransportFailureKind::Timeout,
        TransportFailureKind::TooLarge,
        TransportFailureKind::Broken,
    ];
    let kind = kinds[usize::from(head.status) % kinds.len()];
    let detail = String::from_utf8_lossy(body).into_owned();
    for url in ["", "https://login.microsoftonline.com/x", detail.as_str()] {
        let told = TransportFailure { kind, detail: detail.clone() };
        let mut failure = transport_failure(&told, url, config);
        failure.redact(&defender_core::secret::Secret::new(canary::TOKEN));
        reached.insert(check(failure));
    }
}

/// The members that choose each API, and at the end a single request.
const SOURCES: [&str; 6] = [
    r#""api":"siem","region":"eu""#,
    r#""api":"alerts""#,
    r#""api":"graph""#,
    r#""api":"incidents""#,
    r#""api":"incidents","endpoints":{"api":"api.security.microsoft.com"}"#,
    r#""api":"siem","region":"eu","request":{"ago":"PT1H"}"#,
];

static CONFIGS: LazyLock<[Config; 6]> = LazyLock::new(|| {
    SOURCES.map(|members| {
        let secret = serde_json::Value::from(canary::SECRET);
        let text = format!(
            r#"{{"tenant_id":"contoso.example","client_id":"11111111-2222-4333-8444-555555555555","client_secret":{secret},
            {members}}}"#
        );
        Config::parse(&text).expect("the configuration is valid")
    })
});

/// A source of each API, and a single request.
pub(crate) fn configs() -> &'static [Config] {
    CONFIGS.as_slice()
}

/// A source of each API.
fn apis() -> &'static [Config] {
    &CONFIGS[..5]
}

fn now() -> Now {
    Now { wall: Tick::parse("2026-01-01T12:00:00Z").unwrap_or_default(), monotonic: 1 }
}

fn answer_of(data: &[u8]) -> (ResponseHead, Vec<u8>) {
    let data = canary::with_secrets(data);
    let end = canary::find(&data, b"\n\n").unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
    (ResponseHead { status, headers: headers.collect() }, body.get(2..).unwrap_or_default().to_vec())
}

/// Fails where a failure is not fit to be shown; else the name of its case.
pub(crate) fn check(mut failure: Failure) -> &'static str {
    canary::check(&failure);
    let kind = failure.kind();
    if let Failure::Throttled(Delay { after: Some(after), .. })
    | Failure::Unavailable(Delay { after: Some(after), .. }) = &failure
    {
        assert!(*after <= MAX_RETRY_AFTER, "{failure:?}");
    }
    if let Failure::InvalidConfig(diagnostics) = &failure {
        assert!(!diagnostics.is_empty());
        diagnostics.iter().for_each(check_diagnostic);
    } else if let Some(Fault { code, message, hint, request_id, .. }) = failure.fault_mut() {
        check_shown(code);
        check_shown(message);
        hint.iter().for_each(|hint| check_shown(hint));
        assert!(request_id.as_ref().is_none_or(|id| !id.is_empty() && id.chars().count() <= 120), "{request_id:?}");
        request_id.iter().for_each(|id| check_shown(id));
    }
    kind
}

pub(crate) fn check_diagnostic(diagnostic: &Diagnostic) {
    canary::check(diagnostic);
    let Diagnostic { code, message, hint, pointer, .. } = diagnostic;
    check_shown(code);
    check_shown(message);
    hint.iter().for_each(|hint| check_shown(hint));
    assert!(pointer.as_ref().is_none_or(|pointer| pointer.is_empty() || pointer.starts_with('/')), "{pointer:?}");
}

/// One line of a bounded length that a terminal can be given.
fn check_shown(text: &str) {
    assert!(!text.trim().is_empty() && text.len() <= MAX_SHOWN, "{} bytes: {text}", text.len());
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
}
