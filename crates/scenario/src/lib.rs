//! Recorded HTTP as data: a scenario is read from a folder, requests are matched against what was recorded, and a
//! request that nothing answers is explained part by part.
//!
//! Knows neither a component nor its host nor any service: whoever replays a scenario brings the requests, and sends
//! back what [`Replay::take`] hands out. Nothing here opens a connection or reads a clock.
//!
//! | file of the folder | holds | read into |
//! |---|---|---|
//! | `scenario.json` | why, from where, start of the clock, position, budget, polls, faults | [`Settings`] |
//! | `config.json` | what the source gets, word for word | [`Scenario::config`] |
//! | `traffic.json` | the interactions | [`Traffic`] |
//! | `expected.ndjson` | one line an event or a gap | [`Scenario::expected_events`] |
//! | `expected.json` | what each poll returned | [`Outcome`] |
//!
//! Every member of these files is described in `host-test/README.md`.

mod canary;
mod coding;
mod create;
mod difference;
mod duration;
mod failure;
mod folder;
mod interaction;
mod nearest;
mod node;
mod outcome;
mod pattern;
mod placeholder;
mod problem;
mod range;
mod replay;
mod request;
mod request_body;
mod response;
mod settings;
mod suspicion;
mod traffic;
mod written;

pub use canary::{Canaries, RESERVED, SECRET_MEMBERS, is_secret};
pub use coding::Coding;
pub use create::{CreateError, create, refuse_existing};
pub use difference::Difference;
pub use duration::{duration_text, parse_duration};
pub use failure::{FailureKind, RecordedFailure};
pub use folder::{CONFIG_FILE, EXPECTED_EVENTS_FILE, EXPECTED_FILE, SCENARIO_FILE, Scenario, TRAFFIC_FILE};
pub use interaction::{Answer, Interaction, RecordedRequest, Times};
pub use nearest::nearest;
pub use outcome::{FailureOutcome, NextOutcome, NoticeOutcome, Outcome, PollOutcome, time_text};
pub use pattern::Pattern;
pub use placeholder::{PLACEHOLDER_WORDS, guid_placeholder, is_made, is_placeholder, placeholder};
pub use problem::{Problem, UnusableScenario};
pub use range::TimeRange;
pub use replay::{Mismatch, Order, Replay, Unused};
pub use request::{Address, Request, decode_form};
pub use request_body::{JsonBody, RecordedBody};
pub use response::{ChunkSizes, Ending, Response};
pub use settings::{Budget, ClockJump, Faults, Position, Settings, Trap, Until};
pub use suspicion::{SHORTEST_CODE, Shape, shapes, suspicions};
pub use traffic::{Group, Traffic};
pub use written::Written;
