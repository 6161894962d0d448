//! The component that is shipped, with the refresh token of a user, which is replaced with each use.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::authority::{Authority, CLIENT, TENANT, refresh_token};
use crate::process::{terminate, wait_for};
use crate::setup::{Setup, defender};

/// A configuration of the component that is shipped, for this service.
pub(crate) fn configure(setup: &Setup, authority: &Authority, version: &str, secrets: &str) {
    let origin = authority.origin();
    let path = if version == "v2" { "oauth2/v2.0/token" } else { "oauth2/token" };
    setup.write(
        "host.toml",
        &format!(
            "[[source]]\nname = \"contoso\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n[source.config]\ntenant_id = \"{TENANT}\"\n\
             client_id = \"{CLIENT}\"\napi = \"siem\"\nregion = \"eu\"\ntoken_version = \"{version}\"\npoll_interval = \"PT1S\"\n\
             [source.config.endpoints]\ntoken = \"{origin}/{TENANT}/{path}\"\napi = \"{origin}\"\n[source.secrets]\n{secrets}\n",
            defender().display()
        ),
    );
}

fn start(setup: &Setup) -> Child {
    let said = File::options().append(true).create(true).open(setup.path("stderr")).unwrap();
    let mut command = setup.command(&["run", "--config", "host.toml", "--out", "out.ndjson"]);
    command.env("RUST_LOG", "trace,cranelift=off,regalloc2=off,wasmtime=off");
    command.stderr(Stdio::from(said)).spawn().unwrap()
}

/// Notes where the file does not hold the newest refresh token when its answer is used.
fn looking_at(file: PathBuf) -> impl Fn(&Authority) + Send + Sync {
    move |authority| {
        let (kept, newest) = (std::fs::read_to_string(&file).unwrap(), authority.newest());
        if kept != format!("{newest}\n") {
            authority.state().violations.push(format!("the file holds {kept:?} when {newest} is used"));
        }
    }
}

#[test]
fn each_refresh_token_is_stored_before_its_answer_is_used_and_is_the_next_one_that_is_sent() {
    for (version, secrets, client_secret) in [
        ("v1", "refresh_token = { keep = \"token\" }", None),
        ("v2", "refresh_token = { keep = \"token\" }\nclient_secret = { file = \"secret\" }", Some("canary-app+/=")),
    ] {
        let setup = Setup::empty();
        let authority = Authority::start(looking_at(setup.path("token")));
        authority.state().client_secret = client_secret;
        configure(&setup, &authority, version, secrets);
        setup.write("token", &refresh_token(0));
        setup.write("secret", "canary-app+/=");
        let mut child = start(&setup);
        wait_for(|| authority.state().presented.len() > 3);
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", setup.read("stderr"));
        authority.assert_all_right();
        let presented = authority.state().presented.clone();
        assert_eq!(presented, (0..presented.len()).map(refresh_token).collect::<Vec<_>>());
        let shown = setup.read("stderr") + &setup.read("state/contoso.json");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn a_refresh_token_outlives_a_kill_between_its_answer_and_its_use() {
    let setup = Setup::empty();
    // The API never answers while a run is to be killed.
    let (used, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, over, looks) = (Arc::clone(&used), Arc::clone(&is_over), looking_at(setup.path("token")));
    let authority = Authority::start(move |authority| {
        looks(authority);
        counted.fetch_add(1, Ordering::SeqCst);
        while !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    configure(&setup, &authority, "v1", "refresh_token = { keep = \"token\" }");
    setup.write("token", &refresh_token(0));
    let kills = 6;
    for kill in 0..kills {
        let mut child = start(&setup);
        wait_for(|| used.load(Ordering::SeqCst) > kill);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(setup.read("token"), refresh_token(kill + 1) + "\n");
    }
    is_over.store(true, Ordering::SeqCst);
    setup.once(&["--out", "out.ndjson"]).succeeded();
    authority.assert_all_right();
    let presented = authority.state().presented.clone();
    assert_eq!(presented[..=kills], (0..=kills).map(refresh_token).collect::<Vec<_>>());
}

#[test]
fn a_kill_at_any_moment_around_the_answer_leaves_one_whole_refresh_token() {
    let setup = Setup::empty();
    let authority = Authority::start(|_| ());
    configure(&setup, &authority, "v1", "refresh_token = { keep = \"token\" }");
    setup.write("token", &refresh_token(0));
    for kill in 0..24 {
        let before = authority.state().issued;
        let mut child = start(&setup);
        wait_for_fast(|| authority.state().issued > before);
        // From before the answer has arrived to after it was used.
        std::thread::sleep(Duration::from_micros(kill * 150));
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = setup.read("token");
        let is_good = authority.state().good().any(|good| kept.trim_end() == good);
        assert!(is_good, "kill {kill}: {kept:?}");
    }
    setup.once(&["--out", "out.ndjson"]).succeeded();
    authority.assert_all_right();
}

/// As often as the machine can.
fn wait_for_fast(condition: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < end, "that did not come about in 20 seconds");
        std::thread::yield_now();
    }
}

/// An access token as Microsoft's are, with these claims.
fn access_token(claims: &serde_json::Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = claims.clone();
    claims["exp"] = (now + 3_599).into();
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(b"k"))
        .unwrap()
}

#[test]
fn a_check_says_what_the_token_says_of_itself_and_what_is_missing_and_where_to_click() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v1", "refresh_token = { keep = \"token\" }");
    setup.write("token", &refresh_token(0));
    let check = || setup.run(&["check", "--config", "host.toml"]);
    let opaque = check().succeeded();
    assert!(opaque.stdout.contains("contoso: ok: claims.opaque: the token is opaque"), "{}", opaque.stdout);

    let of = |tenant: &str| serde_json::json!({ "aud": "https://graph.windows.net", "tid": tenant, "scp": "Alert.Read User.Read" });
    let good = access_token(&of(TENANT));
    authority.state().access_token = Some(good.clone());
    let told = check().succeeded().stdout;
    let sentence = format!(
        "ok: claims.token: The token is for https://graph.windows.net, of the tenant {TENANT}, with the user's permissions \
         Alert.Read, User.Read, for another 59 min."
    );
    assert!(told.contains(&sentence) && told.contains("probe.passed"), "{told}");
    assert!(!told.contains("warning"), "{told}");

    authority.state().access_token = Some(access_token(&of(CLIENT)));
    let told = check().succeeded().stdout;
    assert!(told.contains("contoso: warning: /tenant_id: The token is of the tenant 22222222-"), "{told}");

    let bare = access_token(&serde_json::json!({ "aud": "https://graph.windows.net", "tid": TENANT }));
    authority.state().access_token = Some(bare.clone());
    let body = r#"{"error":{"code":"Forbidden","message":"No.","target":"43f4cb08-8fac-4b65-9db1-745c2ae65f3a"}}"#;
    authority.state().api_answer = Some((403, body));
    let ended = check().failed(
        1,
        &[
            "The token holds no permission at all",
            "`Forbidden` means: the application or the user lacks a permission or a role.",
            "Under 'API permissions' of the app registration",
            "'Grant admin consent'",
            "(request 43f4cb08-8fac-4b65-9db1-745c2ae65f3a)",
        ],
    );
    for token in [good, bare] {
        let (claims, signature) = token.rsplit_once('.').unwrap();
        for shown in [&told, &ended.stdout, &ended.stderr] {
            assert!(!shown.contains(claims) && !shown.contains(signature), "{shown}");
        }
    }
    authority.assert_all_right();
}

#[test]
fn whoever_has_not_logged_in_yet_is_told_how_and_a_token_that_is_refused_ends_the_source() {
    let setup = Setup::empty();
    let authority = Authority::start(|_| ());
    configure(&setup, &authority, "v2", "refresh_token = { keep = \"token\" }");
    setup
        .once(&[])
        .failed(2, &["`refresh_token`: there is none in", "source-host login --config FILE --source contoso"]);
    setup.write("token", "0.canary-revoked");
    setup.once(&[]).failed(3, &["AADSTS70008", "Log in again", "`source-host login`"]);
    assert_eq!(setup.read("token"), "0.canary-revoked");
    for (secrets, words) in [
        (
            "refresh_token = { file = \"token\" }",
            "host.toml:16: `refresh_token` is replaced by the service with each use",
        ),
        ("refresh_token = { keep = \"token\", expose = true }", "host.toml:16: `refresh_token` is not to be exposed"),
        ("refresh_token = { keep = \"token\", env = \"X\" }", "host.toml:16: `refresh_token` is replaced"),
        ("client_secret = { keep = \"a\", file = \"b\" }", "host.toml:16: say where `client_secret` comes from"),
    ] {
        configure(&setup, &authority, "v2", secrets);
        setup.once(&[]).failed(2, &[words]);
    }
    configure(&setup, &authority, "v2", "refresh_token = { keep = \"token\" }");
    let twice = setup.read("host.toml");
    setup.write("host.toml", &(twice.clone() + &twice.replace("\"contoso\"", "\"fabrikam\"")));
    setup.once(&[]).failed(2, &["is where the secret of source `contoso` is kept", "a file of its own"]);
}
