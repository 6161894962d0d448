//! `host-test serve`.

use std::path::PathBuf;

use scenario::Scenario;

use super::{Output, Refusal, Status, say};
use crate::Server;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A scenario folder.
    scenario: PathBuf,
    /// The port; 0 takes any that is free.
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
}

pub(super) fn run(args: &Args) -> Result<Status, Refusal> {
    let scenario = Scenario::load(&args.scenario)?;
    let failed = |error: std::io::Error| Refusal {
        message: format!("cannot serve on 127.0.0.1:{}: {error}", args.port),
        hint: Some("choose another port with --port, or leave it out to get a free one".to_owned()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let server = Server::bind(&scenario, args.port).await.map_err(failed)?;
        Output::default().write(&format!("{}\n", server.base_url().map_err(failed)?))?;
        server
            .run(|request, answered| match answered {
                Ok(interaction) => say(&format!("{request}: interaction {}", interaction.number)),
                Err(mismatch) => say(&mismatch.to_string()),
            })
            .await
            .map_err(failed)
    })?;
    Ok(Status::AsExpected)
}
