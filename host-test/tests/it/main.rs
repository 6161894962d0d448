//! The test host from outside: its scenarios through the built component, its command line, its server.

#![allow(clippy::unwrap_used, reason = "what a test cannot unwrap fails it")]

mod ci;
mod cli;
mod conform;
mod examples;
mod folder;
mod har;
mod inject;
mod microsoft_page;
mod pull_engine;
mod record;
mod report;
mod scenarios;
mod serve;
mod service;
mod update;
mod worlds;
