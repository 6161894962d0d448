//! `source-host state reset`.

use super::{Meant, dated};
use crate::cli::lineage::described;
use crate::cli::print;
use crate::cli::report::Report;

/// Puts the states of one source aside.
pub(super) fn reset(meant: &Meant) -> Result<(), Report> {
    let sources: Vec<&str> = meant.sources().map(|table| table.name.as_str()).collect();
    let [source] = sources[..] else {
        return Err(Report::wrong(format!("there are {} sources, and none is named", sources.len()))
            .hint(format!("name the one that is to begin anew: --source {}", sources.join(", or --source "))));
    };
    let lineages = meant.lineages(source)?;
    if lineages.is_empty() {
        return print(&format!("{source}: nothing is stored in {}; there is nothing to do", meant.folder.display()));
    }
    // All or none: a host that runs holds one of them.
    let held = lineages.iter().map(|lineage| meant.hold(source, lineage)).collect::<Result<Vec<_>, _>>()?;
    let date = dated();
    for (store, lineage) in held.iter().zip(&lineages) {
        let kept = store.move_away(&date).map_err(|error| Report::from(error).of(source))?;
        let path = store.path().display();
        print(&format!("{source}: {}: put aside as {}", described(lineage), kept.display()))?;
        print(&format!("  to undo this: mv '{}' '{path}'", kept.display()))?;
    }
    print(&format!("{source}: the next run begins where the configuration says"))
}
