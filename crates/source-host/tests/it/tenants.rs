//! Many sources in one process.

use std::process::Stdio;

use crate::process::{start, terminate, wait_for};
use crate::server::Server;
use crate::setup::Setup;

#[test]
fn a_source_that_traps_at_every_poll_is_tried_again_and_holds_up_nobody() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let trapping = setup.source("trapping", &server.origin(), "misbehave = \"trap\"");
    setup.prepend(&format!("[host]\nconcurrency = 1\n{trapping}"));
    let arguments = ["run", "--config", "host.toml"];
    let log = setup.path("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut child = setup.command(&arguments).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
    let said = |what: &str| std::fs::read_to_string(&log).unwrap().matches(what).count();
    for last in 1..=3 {
        server.grow_to(last);
        wait_for(|| setup.checkpoint() == Some(last.to_string()));
        wait_for(|| said("the instance was lost") > last);
    }
    assert!(said("a fresh instance is tried again") > 0);
    assert!(child.try_wait().unwrap().is_none());
    terminate(&child);
    crate::setup::Ended::from(child.wait_with_output().unwrap()).succeeded();
}

#[test]
fn sources_of_one_application_have_its_requests_together() {
    let server = Server::start();
    let setup = Setup::empty();
    server.grow_to(10);
    setup.write("secret", crate::server::SECRET);
    let source =
        |name| setup.source(name, &server.origin(), "").replace("[source.config]", "quota = \"app\"\n[source.config]");
    setup.write(
        "host.toml",
        &format!(
            "[host]\nmax_events = 1\n[[quota]]\nname = \"app\"\nper_minute = 3\n{}{}",
            source("one"),
            source("two")
        ),
    );
    let child = start(&setup, &[]);
    // Alone each would make ten in a row. A poll begins with two, for a token and an answer, and uses one.
    wait_for(|| server.requests().len() >= 2);
    wait_for(|| setup.path("state/one.json").exists() || setup.path("state/two.json").exists());
    terminate(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
}
