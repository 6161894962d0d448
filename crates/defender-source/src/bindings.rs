//! Generated from `wit/`: the contract's types, and the export.

#![allow(unsafe_code, reason = "generated; every value crosses the boundary through it")]

wit_bindgen::generate!({ world: "source-plugin", path: "../../wit" });

pub(crate) use exports::pipeline::source::source as contract;

use crate::DefenderSource;

export!(DefenderSource with_types_in self);
