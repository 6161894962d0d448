//! How a run ends: exit statuses, and what a person is told.

use source_host::{FileStore, Lineage};

use crate::server::{Answer, Server};
use crate::setup::Setup;

#[test]
fn refused_credentials_are_status_3() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.write("secret", "wrong");
    setup.once(&[]).failed(
        3,
        &[
            "error: source `counter`: the service refused the credentials\n  cause: http.status-401: the secret is wrong (status 401)\n  hint: ",
        ],
    );
}

#[test]
fn a_missing_permission_is_status_1() {
    let server = Server::start();
    server.next_answer(Answer::status(403, ""));
    Setup::new(&server, "").once(&[]).failed(1, &["the credentials lack a permission", "hint: grant the permission"]);
}

#[test]
fn a_short_wait_is_waited_out_and_a_long_one_is_status_1() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(1);
    server.next_answer(Answer::status(429, "retry-after: 0\r\n"));
    assert_eq!(setup.once(&[]).succeeded().items(), [1]);
    server.next_answer(Answer::status(429, "retry-after: 61\r\n"));
    setup.once(&[]).failed(1, &["the next try would be in 61s", "cause: http.status-429", "without --once"]);
}

#[test]
fn a_network_that_fails_for_a_moment_is_tried_again() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(1);
    server.next_answer(Answer::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":1".to_vec()));
    assert_eq!(setup.once(&[]).succeeded().items(), [1]);
}

#[test]
fn an_answer_that_is_garbage_is_status_1() {
    let server = Server::start();
    server.next_answer(Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>".to_vec()));
    Setup::new(&server, "").once(&[]).failed(1, &["the service refused the request", "http.body"]);
}

#[test]
fn a_component_that_fails_again_and_again_is_given_up() {
    let server = Server::start();
    Setup::new(&server, "misbehave = \"trap\"")
        .once(&[])
        .failed(1, &["failed several times in a row", "trapped in `poll`"]);
    Setup::new(&server, "misbehave = \"stuck\"").once(&[]).failed(1, &["does not get on"]);
}

#[test]
fn a_request_beyond_the_plan_is_status_1_and_says_which() {
    let server = Server::start();
    let setup = Setup::new(&server, "misbehave = \"ask-foreign\"");
    // The honest request after it is answered, so the run only ends where the answer is a failure.
    server.next_answer(Answer::status(500, ""));
    setup.once(&[]).failed(
        1,
        &["error: source `counter`: a request of the component was refused: http://127.0.0.1:1 is not among"],
    );
}

#[test]
fn a_plan_that_names_more_is_refused_with_the_line_to_add() {
    let server = Server::start();
    let setup = Setup::new(&server, "misbehave = \"plan-foreign\"");
    setup.once(&[]).failed(2, &["https://evil.example (for: api)", "hint: ", "allow = [\"https://evil.example\"]"]);
    assert!(server.requests().is_empty());
    let none = setup.read("host.toml").replace(&format!("allow = [\"{}\"]", server.origin()), "");
    setup.write("host.toml", &none.replace("misbehave", "# misbehave"));
    setup.once(&[]).failed(2, &[&format!("allow = [\"{}\"]", server.origin())]);
}

#[test]
fn wrong_files_are_status_2_with_file_and_line() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.run(&["run", "--config", "none.toml", "--once"]).failed(2, &["cannot read the configuration none.toml"]);
    setup.run(&["run", "--once"]).failed(2, &["--config"]);
    std::fs::write(setup.path("latin.toml"), b"# \xe4").unwrap();
    setup.run(&["run", "--config", "latin.toml"]).failed(2, &["configuration latin.toml", "hint: save it as UTF-8"]);
    setup.run(&["run", "--config", "."]).failed(2, &["Is a directory", "hint: name the file with --config"]);
    setup.once(&["--out", ""]).failed(2, &["--out names nothing", "hint: name a file, or `stdout`"]);
    let good = setup.read("host.toml");
    setup.write("host.toml", &good.replace("[source.config]", "[source.comfig]"));
    setup.once(&[]).failed(2, &["host.toml:6: there is no `comfig` here; did you mean `config`?"]);
    setup.write("host.toml", &good.replace("counter_source.wasm", "none.wasm"));
    setup.once(&[]).failed(2, &["error: source `counter`: cannot read the component", "none.wasm"]);
    setup.write("host.toml", &good.replace("origin = ", "orgin = "));
    setup
        .once(&[])
        .failed(2, &["the configuration of the source is not valid\n  cause: config: unknown field `orgin`"]);
}

#[test]
fn a_secret_comes_from_the_environment_and_a_missing_one_is_status_2() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(1);
    setup.write("host.toml", &setup.read("host.toml").replace("file = \"secret\"", "env = \"COUNTER_SECRET\""));
    setup.once(&[]).failed(2, &["COUNTER_SECRET is not set", "hint: set COUNTER_SECRET"]);
    let arguments = ["run", "--config", "host.toml", "--once"];
    let output = setup.command(&arguments).env("COUNTER_SECRET", crate::server::SECRET).output().unwrap();
    assert_eq!(crate::setup::Ended::from(output).succeeded().items(), [1]);
}

#[test]
fn a_state_of_another_identity_or_in_use_or_corrupt_is_refused() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    setup.once(&[]).succeeded();
    let good = setup.read("state/counter.json");
    setup.write("state/counter.json", &good.replace("counter http", "other http"));
    setup
        .once(&[])
        .failed(1, &["the state of `counter` belongs to `other http", "hint: give the [[source]] another name"]);
    setup.write("state/counter.json", &good[..good.len() / 2]);
    setup.once(&[]).failed(1, &["counter.json cannot be read", "hint: restore it from a backup"]);
    setup.write("state/counter.json", &good);
    let _held = FileStore::open(&setup.path("state"), "counter", &Lineage::Running).unwrap();
    setup.once(&[]).failed(1, &["another host uses this state", "hint: stop the other one"]);
}

#[test]
fn an_output_that_cannot_be_written_leaves_the_checkpoint_where_it_was() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(1);
    setup
        .once(&["--out", "no/such/folder/out.ndjson"])
        .failed(1, &["cannot create no/such/folder/out.ndjson", "make the folder"]);
    let full = setup.once(&["--out", "/dev/full"]);
    full.failed(1, &["cannot write to /dev/full", "hint: make room"]);
    assert_eq!(setup.checkpoint(), None);
    setup.once(&["--out", "/dev/null"]).succeeded();
}

#[test]
fn a_file_that_may_not_grow_further_is_told_with_the_limit_to_raise() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    server.grow_to(100);
    let program = env!("CARGO_BIN_EXE_source-host");
    let limited = || {
        let script = format!("ulimit -f 8; exec '{program}' run --config host.toml --once --out out.ndjson");
        let mut command = std::process::Command::new("sh");
        // A folder of its own keeps what was compiled.
        let command =
            command.args(["-c", &script]).current_dir(setup.path(".")).env("XDG_CACHE_HOME", setup.path("cache"));
        crate::setup::Ended::from(command.output().unwrap())
    };
    limited().failed(
        1,
        &["this machine gives no memory for an instance: File too large", "hint: raise the limit of file sizes"],
    );
    let mut check = setup.command(&["check", "--config", "host.toml"]);
    crate::setup::Ended::from(check.env("XDG_CACHE_HOME", setup.path("cache")).output().unwrap()).succeeded();
    limited().failed(1, &["cannot write to", "out.ndjson: File too large", "hint: raise the limit of file sizes"]);
    assert_eq!(crate::setup::items(&setup.read("out.ndjson")), Vec::<u64>::new());
    setup.once(&["--out", "out.ndjson"]).succeeded();
    assert_eq!(crate::setup::items(&setup.read("out.ndjson")), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_machine_that_gives_no_memory_is_told_as_that() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    // What an instance reserves of the address space is more than that.
    let program = env!("CARGO_BIN_EXE_source-host");
    let script = format!("ulimit -v 3000000; exec '{program}' check --config host.toml");
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(setup.path(".")).output().unwrap();
    crate::setup::Ended::from(output).failed(
        1,
        &[
            "source `counter`: this machine gives no memory for an instance: Cannot allocate memory",
            "hint: give the host",
        ],
    );
}

#[test]
fn too_many_open_files_are_told_with_the_limit_to_raise() {
    let server = Server::start();
    let setup = Setup::new(&server, "");
    let more: String = (0..60).map(|number| setup.source(&format!("s{number}"), &server.origin(), "")).collect();
    setup.write("host.toml", &(setup.read("host.toml") + &more));
    let program = env!("CARGO_BIN_EXE_source-host");
    let script = format!("ulimit -n 50; exec '{program}' run --config host.toml --once");
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(setup.path(".")).output().unwrap();
    let ended = crate::setup::Ended::from(output);
    let told = ended.failed(1, &["Too many open files", "hint: each source holds a file open"]).stderr;
    // Sources that had begun would have no connections.
    assert_eq!((told.matches("error: ").count(), server.requests()), (1, Vec::new()), "{told}");
}
