//! `source-host login`: a person logs in once, and the refresh token of that is kept.
//!
//! Two flows, both made for programs on a person's machine: the authorization code with PKCE, which comes back to a port of
//! this machine, and the device code, for a machine without a browser.
//!
//! Sources: RFC 6749, section 4.1; RFC 7636; RFC 8252; RFC 8628; Microsoft Learn, "OAuth 2.0 authorization code flow" and
//! "OAuth 2.0 device authorization grant", both versions.

mod authority;
mod browser;
mod device;
mod refusal;

use std::path::PathBuf;
use std::time::Duration;

use source_host::SecretValue;

use super::config::{Config, EntryFrom, SourceTable};
use super::configured::named;
use super::open::{Components, network};
use super::print;
use super::report::Report;
use super::rotating::Rotating;
use super::secrets::pointer;
use authority::Authority;

/// How long a person may take. A code of Microsoft's lives as long.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The field of the token request that a refresh token goes into.
const REFRESH_TOKEN: &str = "refresh_token";

#[derive(Debug, clap::Args)]
pub(crate) struct LoginArguments {
    #[command(flatten)]
    config: super::ConfigArgument,
    /// The source to log in for, where there are several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Show a code to type on another device, in place of coming back to this machine's browser.
    #[arg(long, conflicts_with = "port")]
    device_code: bool,
    /// The port of this machine that the browser comes back to; without it a free one.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Logs a person in and keeps the refresh token where the source reads it.
pub(crate) async fn login(arguments: LoginArguments) -> Result<(), Report> {
    let path: PathBuf = arguments.config.path;
    let config = Config::load(&path)?;
    let table = named(&config, &path, arguments.source.as_deref())?;
    let of = |report: Report| report.of(&table.name);
    let network = network(&config)?;
    let mut components = Components::new(config.host.cache.clone())?;
    let authority = Authority::of(table, &config, &mut components, &network).await.map_err(of)?;
    let (kept, file) = kept(table, &authority.pointer).map_err(of)?;
    let logging_in = async {
        let refresh_token: SecretValue = if arguments.device_code {
            device::log_in(&authority).await?
        } else {
            browser::log_in(&authority, arguments.port.unwrap_or_default()).await?
        };
        kept.store(&refresh_token).map_err(Report::from)
    };
    let ended = tokio::time::timeout(PATIENCE, logging_in).await;
    let timed_out = |_| Report::failed("nobody logged in within a quarter of an hour").hint("begin again");
    ended.map_err(timed_out).and_then(|ended| ended).map_err(of)?;
    print(&format!(
        "{}: logged in, and the refresh token is kept in {}; `source-host check --config {}` tries it",
        table.name,
        file.display(),
        path.display()
    ))
}

/// Where the refresh token of a source is kept.
fn kept(table: &SourceTable, at: &str) -> Result<(Rotating, PathBuf), Report> {
    let entry = table.secrets.iter().find(|(member, _)| pointer(member) == at);
    match entry {
        Some((member, entry)) if let EntryFrom::Rotating(path) = &entry.from => {
            Ok((Rotating::new(member, path, &table.name), path.clone()))
        }
        _ => Err(no_refresh_token(&table.name)),
    }
}

fn no_refresh_token(name: &str) -> Report {
    Report::wrong("it signs in without a user, and there is nothing to log in for").hint(format!(
        "for a user who logs in, take the other credential out and write under [source.secrets] \
         {REFRESH_TOKEN} = {{ keep = \"{name}.token\" }}"
    ))
}
