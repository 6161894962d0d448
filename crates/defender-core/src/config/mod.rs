//! The configuration of the source: untrusted JSON in, values that cannot be wrong out.
//!
//! `members` holds every member in tables; `json` reads the text, `reader` the members by those tables, `parse` what
//! concerns several members at once.

mod credential;
pub mod duration;
mod endpoint;
mod json;
mod members;
mod parse;
mod problems;
mod reader;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use credential::is_placeholder;
pub use credential::{Credential, CredentialKind};
pub(crate) use endpoint::{is_guid, is_known_login_host};
pub(crate) use json::Printer;

use crate::protocol::Protocol;
use crate::row::KeyedBy;
use crate::tick::{Tick, Ticks};

/// The JSON Schema (2020-12) of the configuration, on one line. A test prints its file from the tables that the reader
/// obeys, and fails where it is stale.
pub const SCHEMA: &str = match str::from_utf8(&COMPACT_SCHEMA) {
    Ok(schema) => schema,
    Err(_) => panic!("it is UTF-8, like its file"),
};

const SCHEMA_FILE: &str = include_str!("../../config.schema.json");
const COMPACT_SCHEMA: [u8; compact(SCHEMA_FILE, &mut [])] = {
    let mut schema = [0; _];
    compact(SCHEMA_FILE, &mut schema);
    schema
};

/// Writes a JSON text without the white space between its parts into `out`, as far as that reaches, and counts its bytes.
const fn compact(json: &str, out: &mut [u8]) -> usize {
    let json = json.as_bytes();
    let (mut from, mut to) = (0, 0);
    let (mut in_string, mut escaped) = (false, false);
    while from < json.len() {
        let byte = json[from];
        if in_string || !matches!(byte, b' ' | b'\n') {
            if to < out.len() {
                out[to] = byte;
            }
            to += 1;
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        from += 1;
    }
    to
}

/// A configuration that is valid by construction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The directory that issues the tokens: a GUID or a domain name, in lower case.
    pub tenant_id: String,
    /// The application that asks for them, in lower case.
    pub client_id: String,
    /// How it proves who it is.
    pub credential: Credential,
    /// Which API is read, and how it is spoken.
    pub protocol: &'static Protocol,
    /// Which cloud the tenant lives in.
    pub cloud: Cloud,
    /// Which region holds its data; always there for the SIEM API in the commercial cloud unless `endpoints.api` says the
    /// host.
    pub region: Option<Region>,
    /// Which token endpoint is used.
    pub token_version: TokenVersion,
    /// The token endpoint.
    pub token_endpoint: Endpoint,
    /// The endpoint of the API; its URL has no query.
    pub api_endpoint: Endpoint,
    /// What the token is for, as v1 names it in `resource`; v2 adds `/.default`.
    pub audience: String,
    /// Where a running source begins.
    pub start: Start,
    /// How late a detection may show up and still be found.
    pub overlap: Ticks,
    /// How much of the most recent past is left for the next poll.
    pub settle: Ticks,
    /// The longest range of one request.
    pub slice: Ticks,
    /// The wait after a poll that caught up.
    pub poll_interval: Ticks,
    /// The cap on one answer; of an API that speaks OData its page size, which is always there.
    pub limit: Option<u32>,
    /// Which versions of a thing are events.
    pub emit: Emit,
    /// Whether alerts come with their evidence, or incidents with their alerts.
    pub expand: Expand,
    /// Which alerts or incidents are asked for.
    pub selection: Selection,
    /// Which devices' detections are asked for.
    pub filters: Filters,
    /// One single request in place of a running source.
    pub request: Option<SingleRequest>,
    /// What the body of an event holds.
    pub format: Format,
}

/// A national cloud.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cloud {
    /// The worldwide one.
    #[default]
    Commercial,
    /// US Government Community Cloud.
    Gcc,
    /// GCC High.
    GccHigh,
    /// US Department of Defense.
    Dod,
}

/// A region of the commercial cloud. The SIEM API knows the first three.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// United Kingdom.
    Uk,
    /// Australia.
    Au,
    /// What Microsoft calls `swa`, and does not explain.
    Swa,
    /// What Microsoft calls `ina`, and does not explain.
    Ina,
    /// What Microsoft calls `aea`, and does not explain.
    Aea,
}

/// Which token endpoint is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenVersion {
    /// `/oauth2/token` with `resource`.
    V1,
    /// `/oauth2/v2.0/token` with `scope`.
    V2,
}

/// An absolute URL and its origin, taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    /// The whole URL.
    pub url: String,
    /// `https`, or `http` to a loopback address.
    pub scheme: String,
    /// The host name or address, IPv6 in brackets.
    pub host: String,
    /// The port, the scheme's own where the URL states none.
    pub port: u16,
}

/// Where a running source begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// At the first poll.
    Now,
    /// So long before the first poll.
    Ago(Ticks),
    /// At this instant.
    At(Tick),
}

/// Which versions of an alert or incident are events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Emit {
    /// Each one that is met.
    #[default]
    EveryUpdate,
    /// The first one that is met.
    FirstSeen,
}

/// Whether what belongs to an alert or incident comes with it: `$expand`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Expand {
    /// As far as the API can.
    #[default]
    On,
    /// Nothing.
    Off,
}

/// Which alerts or incidents are asked for, in the words of Microsoft Graph; empty lists ask for all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// How grave.
    pub severity: Vec<&'static str>,
    /// How far looked into.
    pub status: Vec<&'static str>,
    /// Which product found them.
    pub service_source: Vec<&'static str>,
}

/// Which devices' detections are asked for; empty lists ask for all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filters {
    /// `machinegroups`, repeated in the query.
    pub machinegroups: Vec<String>,
    /// `DeviceCreatedMachineTags`.
    pub device_created_machine_tags: Vec<String>,
    /// `CloudCreatedMachineTags`.
    pub cloud_created_machine_tags: Vec<String>,
}

/// One request as the API documents it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SingleRequest {
    /// `sinceTimeUtc`.
    pub since: Option<Tick>,
    /// `untilTimeUtc`.
    pub until: Option<Tick>,
    /// `ago`, an ISO 8601 duration as it was written; excludes both times.
    pub ago: Option<(String, Ticks)>,
    /// `limit`: the newest so many.
    pub limit: Option<u32>,
    /// The groups and tags.
    pub filters: Filters,
}

/// What the body of an event holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// The bytes that the service sent.
    #[default]
    Raw,
    /// One CSV row.
    Csv,
}

/// The words that the configuration has for the values of a choice.
macro_rules! words {
    ($choice:ident { $($value:ident = $word:literal),+ }) => {
        impl $choice {
            /// The words of the configuration, in the order of the values.
            pub const NAMES: &[&str] = &[$($word),+];
            const ALL: &[Self] = &[$(Self::$value),+];

            /// How the configuration writes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }
    };
}

words!(Cloud { Commercial = "commercial", Gcc = "gcc", GccHigh = "gcc-high", Dod = "dod" });
words!(Region { Us = "us", Eu = "eu", Uk = "uk", Au = "au", Swa = "swa", Ina = "ina", Aea = "aea" });
words!(TokenVersion { V1 = "v1", V2 = "v2" });
words!(Emit { EveryUpdate = "every-update", FirstSeen = "first-seen" });
words!(Expand { On = "on", Off = "off" });
words!(Format { Raw = "raw", Csv = "csv" });

impl Config {
    /// What a checkpoint belongs to: the service, the API and the tenant. Region, application, secret, endpoints and every
    /// duration may change without a new start.
    pub fn identity(&self) -> String {
        Protocol::identity(self.protocol.name, &self.tenant_id)
    }

    /// The identities of other sources whose checkpoints this one reads on from.
    pub fn accepts(&self) -> Vec<String> {
        self.protocol.takes_over.iter().map(|name| Protocol::identity(name, &self.tenant_id)).collect()
    }

    /// What `$expand` asks for.
    pub(crate) fn expanded(&self) -> Option<&'static str> {
        self.protocol.odata.as_ref()?.expand.filter(|_| self.expand == Expand::On)
    }

    /// What makes two records the same.
    pub fn keyed_by(&self) -> KeyedBy {
        match (&self.protocol.odata, self.emit) {
            (None, _) => KeyedBy::FullId,
            (Some(_), Emit::EveryUpdate) => KeyedBy::Version,
            (Some(_), Emit::FirstSeen) => KeyedBy::Id,
        }
    }
}

impl SingleRequest {
    /// Whether it means the same whenever it is made, so that a fresh instance may make it again.
    pub fn can_be_made_again(&self) -> bool {
        self.since.is_some() && self.until.is_some() && self.limit.is_none()
    }
}
