//! HTTP archives (HAR 1.2): a scenario for every viewer, and a browser's recording as a scenario.

mod entry;
mod export;
mod import;
mod model;

pub use export::export_har;
pub use import::{HarError, Imported, import_har};
