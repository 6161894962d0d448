//! The program with secrets that it keeps to itself.

use std::fs::File;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::issuer::{ENCODED_SECRET, Issuer, OPAQUE, is_clean};
use crate::process::{terminate, wait_for};
use crate::server::{SECRET, Server};
use crate::setup::{Ended, Setup, guest, items};

/// A folder with a source that exchanges its secret for a token.
fn setup(server: &Server, issuer: &Issuer) -> Setup {
    let (setup, origin) = (Setup::empty(), server.origin());
    let text = format!(
        "[[source]]\nname = \"counter\"\ncomponent = '{}'\nallow = [\"{origin}\", \"{}\"]\n\
         secrets = {{ secret = {{ file = \"secret\" }} }}\n[source.config]\norigin = \"{origin}\"\ntoken = \"{}\"\n",
        guest().display(),
        issuer.origin(),
        issuer.url(),
    );
    setup.write("host.toml", &text);
    setup.write("secret", SECRET);
    setup
}

#[test]
fn a_run_sends_the_real_secret_and_token_and_shows_neither() {
    let (server, issuer) = (Server::start(), Issuer::start(OPAQUE));
    server.grow_to(3);
    server.accept(OPAQUE);
    let setup = setup(&server, &issuer);
    let mut command = setup.command(&["run", "--config", "host.toml", "--once", "--out", "out.ndjson"]);
    let ended = command.env("RUST_LOG", "trace,cranelift=off,regalloc2=off,wasmtime=off").output().unwrap();
    assert_eq!((ended.status.code(), items(&setup.read("out.ndjson"))), (Some(0), vec![1, 2, 3]));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("TRACE"), "the clients have nothing to say: {said}");
    let shown = [ended.stdout, ended.stderr, setup.read("out.ndjson").into(), setup.read("state/counter.json").into()];
    for output in shown {
        assert!(is_clean(&output), "{}", String::from_utf8_lossy(&output));
    }
    let checked = setup.run(&["check", "--config", "host.toml"]).succeeded();
    assert_eq!(checked.stdout, "counter: ok: probe.ok: the items can be read\n");
    let sent = issuer.requests();
    assert!(sent.len() == 2 && sent.iter().all(|request| request.ends_with(ENCODED_SECRET)), "{sent:?}");
}

#[test]
fn a_secret_that_was_replaced_is_used_without_a_restart_and_one_that_is_gone_is_missed_aloud() {
    let (server, issuer) = (Server::start(), Issuer::start(OPAQUE));
    server.grow_to(1);
    server.accept(OPAQUE);
    let setup = setup(&server, &issuer);
    let said = File::create(setup.path("stderr")).unwrap();
    let mut command = setup.command(&["run", "--config", "host.toml", "--out", "out.ndjson"]);
    let mut child = command.stderr(Stdio::from(said)).spawn().unwrap();
    let read = |name: &str| std::fs::read_to_string(setup.path(name)).unwrap_or_default();
    wait_for(|| items(&read("out.ndjson")) == [1]);

    std::fs::remove_file(setup.path("secret")).unwrap();
    issuer.rotate("second", "second-token");
    server.accept("second-token");
    server.grow_to(2);
    wait_for(|| read("stderr").contains("the secret `secret` cannot be read from ./secret: No such file"));
    // Nothing was sent in its place.
    assert_eq!(issuer.requests().len(), 1);

    setup.write("secret", "second\n");
    wait_for(|| items(&read("out.ndjson")) == [1, 2]);
    assert!(issuer.requests().last().unwrap().ends_with("client_secret=second"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(is_clean(read("stderr").as_bytes()));
}

/// A token as Microsoft's are, which ends so many seconds from now.
fn jwt(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({ "exp": now.checked_add_signed(seconds).unwrap() });
    let key = jsonwebtoken::EncodingKey::from_secret(b"k");
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[test]
fn a_token_of_a_file_is_replaced_without_a_restart_and_one_that_ran_out_is_waited_out() {
    let server = Server::start();
    server.grow_to(1);
    let setup = Setup::new(&server, "");
    setup.write("host.toml", &setup.read("host.toml").replace(", expose = true", ""));
    let [first, second, third] = [-60, 3_600, 7_200].map(jwt);
    server.accept(&first);
    setup.write("secret", &format!("{first}\n"));
    let said = File::create(setup.path("stderr")).unwrap();
    let mut command = setup.command(&["run", "--config", "host.toml", "--out", "out.ndjson"]);
    let mut child = command.stderr(Stdio::from(said)).spawn().unwrap();
    let read = |name: &str| std::fs::read_to_string(setup.path(name)).unwrap_or_default();
    wait_for(|| items(&read("out.ndjson")) == [1]);

    server.accept(&second);
    server.grow_to(2);
    wait_for(|| read("stderr").contains("and no other is in its place"));
    let asked = server.requests().len();
    assert!(read("stderr").contains("the token `secret` ended at 20"), "{}", read("stderr"));
    setup.write("secret", &second);
    wait_for(|| items(&read("out.ndjson")) == [1, 2]);
    assert!(server.requests().len() > asked);

    setup.write("secret", &third);
    server.accept(&third);
    server.grow_to(3);
    wait_for(|| items(&read("out.ndjson")) == [1, 2, 3]);
    // It says nothing of having ended, so it is wrong.
    server.accept("another");
    wait_for(|| read("stderr").contains("the secret is wrong"));
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", read("stderr"));
    let shown = read("stderr") + &read("state/counter.json");
    for token in [first, second, third] {
        assert!(!shown.contains(token.rsplit('.').next().unwrap()), "{shown}");
    }
}

#[test]
fn a_token_of_the_environment_is_sent_as_it_is_and_its_refusal_ends_the_source() {
    let server = Server::start();
    server.grow_to(1);
    let setup = Setup::new(&server, "");
    setup.write("host.toml", &setup.read("host.toml").replace("file = \"secret\", expose = true", "env = \"TOKEN\""));
    let once = |token: &str| {
        let mut command = setup.command(&["run", "--config", "host.toml", "--once"]);
        Ended::from(command.env("TOKEN", token).stderr(Stdio::piped()).output().unwrap())
    };
    let token = jwt(-60);
    server.accept(&token);
    assert_eq!(once(&token).succeeded().items(), [1]);
    server.accept("another");
    let asked = server.requests().len();
    once(&token).failed(3, &["the secret is wrong"]);
    assert_eq!(server.requests().len(), asked + 1);
    once("Bearer x").failed(1, &["the secret `/secret` holds characters that no header may carry", "without `Bearer`"]);
}

#[test]
fn a_secret_without_a_planned_use_is_refused_at_the_start_unless_it_is_meant_to_be_seen() {
    let server = Server::start();
    server.grow_to(1);
    let setup = Setup::new(&server, "misbehave = \"plan-no-secret\"");
    setup.once(&[]).succeeded();
    setup.write("host.toml", &setup.read("host.toml").replace(", expose = true", ""));
    for command in [&["run", "--config", "host.toml", "--once"][..], &["check", "--config", "host.toml"]] {
        setup.run(command).failed(
            2,
            &[
                "source `counter`: the plan of the component does not say where it sends the secret `/secret`",
                "secret = { env = \"NAME\", expose = true }",
            ],
        );
    }
    setup.run(&["plan", "--config", "host.toml"]).succeeded();
}

#[test]
fn a_component_that_smuggles_ends_with_what_it_tried() {
    let (server, issuer) = (Server::start(), Issuer::start(OPAQUE));
    let setup = setup(&server, &issuer);
    setup.write("host.toml", &(setup.read("host.toml") + "misbehave = \"secret-in-header\"\n"));
    // Nothing to read: the honest half fails as well.
    setup.once(&[]).failed(
        1,
        &[
            "the placeholder of a secret stands in the header `x-secret` of a request to",
            "hint: the plan allows `/secret`",
        ],
    );
    assert_eq!(issuer.requests().len(), 1);
}
