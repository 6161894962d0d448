//! Generated from `wit/`: the contract's types, and the export.

#![expect(missing_docs, unsafe_code, reason = "generated; wit/source.wit documents it")]
#![expect(clippy::allow_attributes_without_reason, reason = "generated")]

wit_bindgen::generate!({ world: "source-plugin", path: "../../wit" });

pub(crate) use exports::pipeline::source::source as contract;
