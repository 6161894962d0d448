//! A configuration for tests that are about something else than configurations.

use crate::config::{
    Cloud, Config, Credential, CredentialKind, Emit, Endpoint, Expand, Filters, Format, Region, Selection, Start,
    TokenVersion,
};
use crate::protocol::SIEM;
use crate::tick::{Now, TICKS_PER_SECOND, Tick};

/// The secret of [`config`]. It must show up nowhere but in the form of a token request.
pub(crate) const CANARY: &str = "kanarie~9Q+/=&% \u{e9}'s";

/// A commercial tenant in the EU, by client secret, token endpoint v1.
pub(crate) fn config() -> Config {
    Config {
        tenant_id: "contoso.example".to_owned(),
        client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        credential: Credential::new(CredentialKind::ClientSecret, CANARY),
        protocol: &SIEM,
        cloud: Cloud::Commercial,
        region: Some(Region::Eu),
        token_version: TokenVersion::V1,
        token_endpoint: endpoint("login.microsoftonline.com", "/contoso.example/oauth2/token"),
        api_endpoint: endpoint("wdatp-alertexporter-eu.windows.com", "/api/alerts"),
        audience: "https://graph.windows.net".to_owned(),
        start: Start::Ago(7200 * TICKS_PER_SECOND),
        overlap: 3600 * TICKS_PER_SECOND,
        settle: 60 * TICKS_PER_SECOND,
        slice: 3600 * TICKS_PER_SECOND,
        poll_interval: 300 * TICKS_PER_SECOND,
        limit: None,
        emit: Emit::EveryUpdate,
        expand: Expand::On,
        selection: Selection::default(),
        filters: Filters::default(),
        request: None,
        format: Format::Raw,
    }
}

/// So many seconds into a run that began on the first of January 2026.
pub(crate) fn at(seconds: u64) -> Now {
    let start = Tick::parse("2026-01-01T00:00:00Z").unwrap();
    Now { wall: start.plus(seconds.cast_signed() * TICKS_PER_SECOND), monotonic: seconds * 1_000_000_000 }
}

fn endpoint(host: &str, path: &str) -> Endpoint {
    Endpoint { url: format!("https://{host}{path}"), scheme: "https".to_owned(), host: host.to_owned(), port: 443 }
}
