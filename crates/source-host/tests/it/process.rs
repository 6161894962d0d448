//! The program while it runs.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::server::{Answer, Server};
use crate::setup::Setup;

/// `run`, with more arguments, and nobody who reads what it says.
pub(crate) fn start(setup: &Setup, more: &[&str]) -> Child {
    let arguments = [&["run", "--config", "host.toml"], more].concat();
    setup.command(&arguments).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets the next request hang, and waits until it does.
pub(crate) fn hang(server: &Server) {
    let hanging = server.next_answer(Answer::Silence);
    wait_for(|| server.answers_given() > hanging);
}

/// Tells it to stop, as a service manager does.
pub(crate) fn terminate(child: &Child) {
    let status = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for another process to get somewhere.
#[track_caller]
pub(crate) fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("that did not come about in 20 seconds");
}
