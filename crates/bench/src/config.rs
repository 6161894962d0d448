//! What every contestant is configured with.

use defender_core::tick::Tick;
use source_host::{Budget, Instant, RunOptions};

/// A poll as `source-host run` has it where nothing else is configured.
pub(crate) const BUDGET: Budget = RunOptions::BUDGET;

/// A poll that brings many events, so that few of them carry a checkpoint.
pub(crate) const LARGE: Budget = Budget { max_events: 2_000, max_bytes: 8 << 20, ..BUDGET };

/// A source that reads from the bench's server; `members` are added, each with a comma before it.
pub(crate) fn source(port: u16, members: &str) -> String {
    format!(
        r#"{{"tenant_id":"11111111-1111-4111-8111-111111111111","client_id":"22222222-2222-4222-8222-222222222222",
        "client_secret":"bench","api":"siem","region":"eu",
        "endpoints":{{"token":"http://127.0.0.1:{port}/token","api":"http://127.0.0.1:{port}"}}{members}}}"#
    )
}

/// A tick as the contract has it.
pub(crate) fn instant(at: Tick) -> Instant {
    let (seconds, nanoseconds) = at.to_unix();
    Instant { seconds, nanoseconds }
}
