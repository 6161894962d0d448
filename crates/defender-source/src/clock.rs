//! The time, from `wasi:clocks`.

use defender_core::tick::{Now, Tick};
use waki::bindings::wasi::clocks::{monotonic_clock, wall_clock};

pub(crate) fn now() -> Now {
    let wall = wall_clock::now();
    let seconds = i64::try_from(wall.seconds).unwrap_or(i64::MAX);
    Now { wall: Tick::from_unix(seconds, wall.nanoseconds), monotonic: monotonic_clock::now() }
}
