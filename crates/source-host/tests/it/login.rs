//! `source-host login` against a server that verifies each step.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use crate::authority::{Authority, TENANT, refresh_token};
use crate::refresh::configure;
use crate::setup::{Ended, Setup};

const KEPT: &str = "refresh_token = { keep = \"token\" }";

/// A login that is under way.
struct Login {
    child: Child,
    stdout: BufReader<ChildStdout>,
    said: String,
}

impl Login {
    fn start(setup: &Setup, more: &[&str]) -> Self {
        let arguments = [&["login", "--config", "host.toml"], more].concat();
        let mut command = setup.command(&arguments);
        command.env("RUST_LOG", "trace,cranelift=off,regalloc2=off,wasmtime=off");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, said: String::new() }
    }

    /// The address that it says.
    fn address(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended: {}", self.said);
            self.said += &line;
            if let Some(address) = line.strip_prefix("  http") {
                return format!("http{}", address.trim_end());
            }
        }
    }

    fn end(mut self) -> Ended {
        self.stdout.read_to_string(&mut self.said).unwrap();
        let mut ended = Ended::from(self.child.wait_with_output().unwrap());
        ended.stdout = self.said;
        ended
    }
}

/// A request as a browser makes it: the status, the headers and the page.
fn get(url: &str) -> (u16, String) {
    let answer = ask(url);
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// The same, where the program may be gone before it has answered.
fn ask(url: &str) -> String {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').map_or_else(
        || (url.strip_prefix("http://").unwrap(), String::new()),
        |(authority, path)| (authority, path.to_owned()),
    );
    let (authority, query) = authority.split_once('?').unwrap_or((authority, ""));
    let path = if query.is_empty() { path } else { format!("?{query}") };
    let mut stream = TcpStream::connect(authority.replace("localhost", "127.0.0.1")).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    answer
}

/// Where a redirect leads.
fn location(answer: &str) -> &str {
    answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap()
}

#[test]
fn a_browser_comes_back_with_a_code_and_the_refresh_token_of_it_is_kept_and_used() {
    for (version, secrets, client_secret) in [
        ("v1", KEPT.to_owned(), None),
        ("v2", format!("{KEPT}\nclient_secret = {{ file = \"app\" }}"), Some("canary+/=")),
    ] {
        let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
        authority.state().client_secret = client_secret;
        configure(&setup, &authority, version, &secrets);
        setup.write("app", "canary+/=\n");
        let mut login = Login::start(&setup, &[]);
        let address = login.address();
        let (status, answer) = get(&address);
        assert_eq!(status, 302);
        let back = location(&answer).to_owned();
        // Whoever guesses, and what a browser asks for besides, is turned away, and the login goes on.
        let port = back.split('?').next().unwrap();
        assert_eq!(get(&format!("{port}/favicon.ico")).0, 404);
        let (status, page) = get(&format!("{port}/?code=stolen&state=guessed"));
        assert!(status == 400 && !page.contains("stolen"), "{page}");
        let (status, page) = get(&back);
        assert!(status == 200 && page.contains("You are logged in") && !page.contains("canary"), "{page}");
        let ended = login.end().succeeded();
        assert!(ended.stdout.contains("contoso: logged in"), "{}", ended.stdout);
        assert!(!(ended.stdout + &ended.stderr).contains("canary"), "{}", ended.stderr);
        assert_eq!(setup.read("token"), refresh_token(1) + "\n");
        setup.run(&["check", "--config", "host.toml"]).succeeded();
        assert_eq!(setup.read("token"), refresh_token(2) + "\n");
        authority.assert_all_right();
    }
}

#[test]
fn a_login_that_is_refused_says_why_and_keeps_nothing() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    let mut login = Login::start(&setup, &[]);
    let (_, answer) = get(&login.address());
    let back = location(&answer);
    let (_, state) = back.rsplit_once("&state=").unwrap();
    let port = back.split('?').next().unwrap();
    let refusal = "error=access_denied&error_description=AADSTS65004%3A+User+declined";
    get(&format!("{port}/?{refusal}&state={state}"));
    let meaning = "AADSTS65004): the user declined what the application asks for";
    let expected =
        ["/authorize answered HTTP 302: access_denied: AADSTS65004: User declined", meaning, "#aadsts65004."];
    login.end().failed(3, &expected);
    // What no catalogue holds is told in the words of the login.
    for (error, hint) in [("access_denied", "grant consent under 'API permissions'"), ("odd", "compare `tenant_id`")] {
        let mut login = Login::start(&setup, &[]);
        let (_, answer) = get(&login.address());
        let (port, state) =
            (location(&answer).split('?').next().unwrap(), location(&answer).rsplit_once("&state=").unwrap().1);
        get(&format!("{port}/?error={error}&error_description=AADSTS1%3A+No&state={state}"));
        let ended = login.end().failed(3, &[&format!("{error}: AADSTS1: No"), hint]);
        assert!(!ended.stderr.contains("docs/errors.md"), "{}", ended.stderr);
    }
    // A code that somebody used before is none.
    let began_anew = "the code was used before, has ended, or is of another login: begin again";
    for (refusal, said) in [
        (None, "AADSTS70008"),
        (Some(r#"{"error":"invalid_grant","error_description":"AADSTS1: Of the test."}"#), began_anew),
        (Some(r#"{"error":"invalid_grant"}"#), began_anew),
    ] {
        authority.state().answers.extend(refusal.map(|refusal| (400, "", refusal)));
        let mut login = Login::start(&setup, &[]);
        let (_, answer) = get(&login.address());
        get(&location(&answer).replace("canary-code", "canary-used"));
        let ended = login.end().failed(3, &["the code was not taken", "invalid_grant", said]);
        assert_eq!(ended.stderr.contains("refresh token"), refusal.is_none(), "{}", ended.stderr);
    }
    assert!(!setup.path("token").exists());
}

#[test]
fn a_device_code_is_asked_for_until_a_person_has_typed_it() {
    for version in ["v1", "v2"] {
        let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
        configure(&setup, &authority, version, KEPT);
        let answers =
            ["authorization_pending", if version == "v2" { "slow_down" } else { "authorization_pending" }, ""];
        authority.state().device_answers.extend(answers);
        let ended = Login::start(&setup, &["--device-code"]).end().succeeded();
        for expected in ["type the code ABC-DEF", "https://login.example/device", "contoso: logged in"] {
            assert!(ended.stdout.contains(expected), "{}", ended.stdout);
        }
        assert!(!(ended.stdout + &ended.stderr).contains("canary"), "{}", ended.stderr);
        assert_eq!(setup.read("token"), refresh_token(1) + "\n");
        authority.assert_all_right();
        let polled = authority.state().polled.clone();
        let gap = polled[2] - polled[1];
        assert_eq!((polled.len(), gap.as_secs() >= 6), (3, version == "v2"), "{gap:?}");
    }
}

#[test]
fn a_login_changes_over_to_the_spare_secret_as_a_run_does() {
    let secrets = format!("{KEPT}\nclient_secret = {{ file = \"first\", spare = {{ file = \"spare\" }} }}");
    for device_code in [false, true] {
        let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
        configure(&setup, &authority, "v2", &secrets);
        setup.write("first", "canary-first");
        setup.write("spare", "canary-spare");
        let log_in = || {
            if device_code {
                return Login::start(&setup, &["--device-code"]).end();
            }
            let mut login = Login::start(&setup, &[]);
            let (_, answer) = get(&login.address());
            ask(location(&answer));
            login.end()
        };
        authority.state().client_secret = Some("canary-spare");
        let ended = log_in().succeeded();
        let told = "the first `client_secret` was refused as wrong or expired, and the spare one is used";
        assert!(ended.stderr.contains(told) && !ended.stderr.contains("canary"), "{}", ended.stderr);
        assert_eq!((setup.read("token"), authority.state().refused_secrets), (refresh_token(1) + "\n", 1));
        authority.assert_all_right();
        authority.state().client_secret = Some("canary-third");
        log_in().failed(3, &["invalid_client", "both values of `client_secret` were refused"]);
        assert_eq!(authority.state().refused_secrets, 3);
    }
}

/// A login by a device code that is answered so at once.
#[track_caller]
fn refused(answer: (u16, &'static str, &'static str), status: i32, said: &[&str]) -> Ended {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    authority.state().answers.push_back(answer);
    let url = format!("{}/{TENANT}/oauth2/v2.0/devicecode answered HTTP {}", authority.origin(), answer.0);
    let ended = Login::start(&setup, &["--device-code"]).end();
    ended.failed(status, &[&["no device code came", &url], said].concat())
}

#[test]
fn an_endpoint_that_is_busy_says_when_to_begin_again() {
    let begin = "begin again in 7 s, as it asks. See docs/errors.md#tokenstatus-";
    refused((429, "retry-after: 7\r\n", ""), 1, &["it throttles now", &format!("{begin}429.")]);
    let page = (503, "retry-after: 7\r\ncontent-type: text/html\r\n", "<html>Maintenance</html>");
    refused(page, 1, &[" with text/html", "it is unavailable now", &format!("{begin}5xx.")]);
    let ended = refused((503, "", "{}"), 1, &["it is unavailable now", "begin again in a minute or two. See docs/"]);
    assert!(!ended.stderr.contains("asked again"), "{}", ended.stderr);
}

#[test]
fn a_listed_code_is_told_as_check_tells_it_and_with_all_ids() {
    for (body, status, said) in [
        (
            r#"{"error":"unauthorized_client","error_description":"AADSTS700016: Application 'x' was not found."}"#,
            2,
            ["/client_id: ", "the application is not in this tenant", "See docs/errors.md#aadsts700016."],
        ),
        (
            r#"{"error":"invalid_request","error_description":"No.","error_codes":[90002]}"#,
            2,
            ["/tenant_id: ", "there is no such tenant in this cloud", "See docs/errors.md#aadsts90002."],
        ),
        (
            r#"{"error":"invalid_resource","error_description":"AADSTS500011: No."}"#,
            2,
            ["/endpoints/audience: ", "no service principal for the audience", "See docs/errors.md#aadsts500011."],
        ),
        (
            r#"{"error":"invalid_grant","error_description":"AADSTS53003: No."}"#,
            3,
            ["AADSTS53003: ", "a conditional access policy blocks the token", "See docs/errors.md#aadsts53003."],
        ),
        // Nothing proves the application, and that is no secret which is wrong.
        (
            r#"{"error":"invalid_client","error_description":"AADSTS7000218: No."}"#,
            3,
            ["invalid_client: AADSTS7000218: No.", "'Allow public client flows'", "check `client_id`"],
        ),
        (
            r#"{"error":"odd","error_description":"AADSTS1: No."}"#,
            3,
            ["odd: AADSTS1: No.", "no known reason", "See docs/errors.md#errors-without-a-listed-aadsts-code."],
        ),
    ] {
        refused((400, "", body), status, &said);
    }
    let body =
        r#"{"error":"invalid_request","error_description":"AADSTS90002: No.","trace_id":"t-1","correlation_id":"c-2"}"#;
    let headers = "x-ms-request-id: r-3\r\nclient-request-id: q-4\r\n";
    let ids = "for Microsoft's support: trace_id t-1, correlation_id c-2, x-ms-request-id r-3, client-request-id q-4";
    refused((400, headers, body), 2, &[ids]);
}

#[test]
fn a_page_in_place_of_a_code_or_a_token_is_told_as_one() {
    let page = (200, "content-type: text/html\r\n", "<html>Log in to this network</html>");
    let told = ["with text/html", "that is a page", "usually a proxy or a captive portal"];
    refused(page, 1, &told);
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    for (answer, said) in [
        (page, &told[..]),
        ((200, "", r#"{"access_token":"canary"}"#), &["it holds no refresh token", "the scope `offline_access`"]),
    ] {
        authority.state().answers.push_back(answer);
        let mut login = Login::start(&setup, &[]);
        let (_, came_back) = get(&login.address());
        ask(location(&came_back));
        let ended =
            login.end().failed(1, &[&["the code was not taken", "oauth2/v2.0/token answered HTTP 200"], said].concat());
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
    }
}

/// A device code that is asked for each second.
const DEVICE_CODE: &str =
    r#"{"device_code":"canary-device","user_code":"A","verification_uri":"https://login.example","interval":1}"#;

#[test]
fn a_login_that_waits_for_a_person_outlasts_what_passes() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    authority.state().answers.extend([(200, "", DEVICE_CODE), (503, "", r#"{"error":"temporarily_unavailable"}"#)]);
    let ended = Login::start(&setup, &["--device-code"]).end().succeeded();
    assert!(ended.stderr.contains("answered HTTP 503: temporarily_unavailable; it is asked again"), "{}", ended.stderr);
    assert_eq!(setup.read("token"), refresh_token(1) + "\n");
}

#[test]
fn a_device_code_ends_with_what_kept_it_from_being_asked_for() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    let code = r#"{"device_code":"canary-device","user_code":"A","verification_uri":"https://login.example","interval":1,"expires_in":2}"#;
    let page = (200, "content-type: text/html\r\n", "<html>Log in to this network</html>");
    let pending = (400, "", r#"{"error":"authorization_pending"}"#);
    for (answers, status, said) in [
        ([page, page], 1, "usually a proxy or a captive portal"),
        // That passed.
        ([page, pending], 3, "expired_token: nobody typed the code in time"),
    ] {
        authority.state().answers.push_back((200, "", code));
        authority.state().answers.extend(answers);
        let ended = Login::start(&setup, &["--device-code"]).end();
        ended.failed(status, &["the login was not completed before the code ended", said]);
        assert!(authority.state().answers.is_empty() && !setup.path("token").exists());
    }
}

#[test]
fn tokens_without_a_refresh_token_end_the_login_by_a_device_code_at_once() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", KEPT);
    authority.state().answers.extend([(200, "", DEVICE_CODE), (200, "", r#"{"access_token":"canary"}"#)]);
    let ended = Login::start(&setup, &["--device-code"]).end();
    let ended =
        ended.failed(1, &["the login was not completed", "it holds no refresh token", "the scope `offline_access`"]);
    assert!(!ended.stderr.contains("canary") && authority.state().polled.is_empty(), "{}", ended.stderr);
}

#[test]
fn a_device_code_that_expires_or_is_declined_ends_the_login() {
    for (error, hint) in [
        ("expired_token", "begin again"),
        ("access_denied", "a person said no"),
        ("authorization_declined", "a person said no"),
        ("bad_verification_code", "the code was used before, has ended, or is of another login: begin again"),
        ("invalid_grant", "the code was used before, has ended, or is of another login: begin again"),
    ] {
        let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
        configure(&setup, &authority, "v2", KEPT);
        authority.state().device_answers.extend(["authorization_pending", error]);
        let login = Login::start(&setup, &["--device-code"]);
        login.end().failed(3, &["the login was not completed", &format!("{error}: AADSTS1: Of the test."), hint]);
        assert!(!setup.path("token").exists());
        assert_eq!(authority.state().polled.len(), 2);
    }
}

#[test]
fn a_source_without_a_refresh_token_has_nothing_to_log_in_for() {
    let (setup, authority) = (Setup::empty(), Authority::start(|_| ()));
    configure(&setup, &authority, "v2", "client_secret = { env = \"NO_SUCH_VARIABLE_HERE\" }");
    let login = |setup: &Setup| setup.run(&["login", "--config", "host.toml"]);
    login(&setup)
        .failed(2, &["source `contoso`: it signs in without a user", "refresh_token = { keep = \"contoso.token\" }"]);
    configure(&setup, &authority, "v2", KEPT);
    setup.write("host.toml", &setup.read("host.toml").replace("oauth2/v2.0/token", "gate"));
    login(&setup).failed(2, &["does not end in /token"]);
}
