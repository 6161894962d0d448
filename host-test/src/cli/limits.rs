//! What an instance may use, as the live host has it.

use std::time::Duration;

use scenario::parse_duration;
use source_host::Limits;

#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// How long one call may compute, as an ISO 8601 duration; the live host's `cpu_time`.
    #[arg(long, value_name = "DURATION", default_value = "PT60S", value_parser = duration)]
    cpu_time: Duration,
    /// Linear memory of an instance, in bytes; the live host's `memory_bytes`.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().memory_bytes)]
    memory_bytes: usize,
    /// How long one call may take on the virtual clock, waiting included; the live host's `call_timeout`.
    #[arg(long, value_name = "DURATION", default_value = "PT5M", value_parser = duration)]
    call_timeout: Duration,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        let Self { cpu_time, memory_bytes, call_timeout } = *self;
        Limits { cpu: cpu_time, memory_bytes, call: call_timeout, ..Limits::default() }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).filter(|length| !length.is_zero()).ok_or_else(|| "write one such as PT5S".to_owned())
}
