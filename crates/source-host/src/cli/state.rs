//! `source-host state`: what is remembered of the sources.

mod reset;
mod show;
mod summary;
mod transfer;

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use source_host::{FileStore, Instant, Lineage, StateError};

use super::config::{Config, SourceTable};
use super::report::Report;
use super::{ConfigArgument, lineage};

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Say where each source stopped. Needs no more than leave to read, and may be asked while a host runs.
    Show {
        #[command(flatten)]
        of: Of,
    },
    /// Print the states as one JSON document, for a backup or another machine. It holds no secret.
    Export {
        #[command(flatten)]
        of: Of,
        /// The file that is written, or replaced whole; without it the document goes to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take states over from a document that `export` made. No host may run on them.
    Import {
        #[command(flatten)]
        of: Of,
        /// The document; `-` reads standard input.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Take the place of states that are there; each is kept under a dated name beside it.
        #[arg(long)]
        force: bool,
    },
    /// Put states aside under a dated name, so that the next run begins where the configuration says.
    ///
    /// Of several sources one has to be named. Nothing is asked and nothing is lost: the old name brings a state back.
    Reset {
        #[command(flatten)]
        of: Of,
    },
}

/// Which states.
#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    #[command(flatten)]
    config: ConfigArgument,
    /// The one source that is meant.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Where checkpoints are kept, as in `run`.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) async fn state(command: StateCommand) -> Result<(), Report> {
    match command {
        StateCommand::Show { of } => show::show(&of.read()?),
        StateCommand::Export { of, out } => transfer::export(&of.read()?, out.as_deref()),
        StateCommand::Import { of, from, force } => transfer::import(&of.read()?, &from, force).await,
        StateCommand::Reset { of } => reset::reset(&of.read()?),
    }
}

/// The configuration, and what of it is meant.
struct Meant {
    config: Config,
    source: Option<String>,
    folder: PathBuf,
}

impl Of {
    fn read(self) -> Result<Meant, Report> {
        let config = Config::load(&self.config.path)?;
        if let Some(name) = &self.source
            && !config.sources.iter().any(|table| table.name == *name)
        {
            let known: Vec<&str> = config.sources.iter().map(|table| table.name.as_str()).collect();
            return Err(Report::wrong(format!("there is no source `{name}` in {}", self.config.path.display()))
                .hint(format!("known are {}", known.join(", "))));
        }
        let folder = config.state_folder(self.state.as_deref());
        Ok(Meant { config, source: self.source, folder })
    }
}

impl Meant {
    fn sources(&self) -> impl Iterator<Item = &SourceTable> {
        self.config.sources.iter().filter(|table| self.source.as_ref().is_none_or(|name| table.name == *name))
    }

    /// The lineages of which a state is there, the running one first.
    fn lineages(&self, source: &str) -> Result<Vec<Lineage>, Report> {
        let mut lineages = Vec::new();
        for stem in stems(&self.folder)? {
            // The name of another source may begin with this one's.
            if stem != source && self.config.sources.iter().any(|table| table.name == stem) {
                continue;
            }
            match stem.strip_prefix(source) {
                Some("") => lineages.push((stem, Lineage::Running)),
                Some(rest) => {
                    let word = rest.strip_prefix('.').and_then(lineage::read);
                    lineages.extend(word.map(|lineage| (stem, lineage)));
                }
                None => {}
            }
        }
        lineages.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(lineages.into_iter().map(|(_, lineage)| lineage).collect())
    }

    /// Where a state is.
    fn path(&self, source: &str, lineage: &Lineage) -> PathBuf {
        FileStore::path_in(&self.folder, source, lineage)
    }

    /// Holds a state, so that no host begins with it meanwhile.
    fn hold(&self, source: &str, lineage: &Lineage) -> Result<FileStore, Report> {
        FileStore::open(&self.folder, source, lineage).map_err(|error| {
            let hint = match &error {
                StateError::Stale { .. } => "stop the host that runs, and start it again afterwards".to_owned(),
                error => error.hint().to_owned(),
            };
            Report::failed(&error).hint(hint).of(source)
        })
    }
}

/// The names of the states in a folder, without what follows them. In a folder that is not there is none.
fn stems(folder: &Path) -> Result<Vec<String>, Report> {
    let problem = |error: io::Error| {
        Report::failed(format!("cannot read the state folder {}", folder.display()))
            .because(error)
            .hint("name the folder with --state, and let this user read it")
    };
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(problem)?,
    };
    let mut stems = Vec::new();
    for entry in entries {
        let name = entry.map_err(problem)?.file_name();
        stems.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
    }
    Ok(stems)
}

/// What a state that is put aside has at the end of its name: the time, without what some disks refuse.
fn dated() -> String {
    let now = Instant { nanoseconds: 0, ..std::time::SystemTime::now().into() };
    now.to_string().replace(':', "-")
}
