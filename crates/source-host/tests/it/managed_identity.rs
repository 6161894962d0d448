//! The component that is shipped, with the managed identity of a virtual machine or an app, which only the host knows.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::authority::{CLIENT, TENANT};
use crate::platform::Platform;
use crate::process::{terminate, wait_for};
use crate::setup::{Ended, Setup, defender};

const IDENTITY: &str = "access_token = { managed_identity = {} }";
const OTHER: &str = "33333333-3333-4333-8333-333333333333";

/// A configuration for an API of this platform.
fn setup(platform: &Platform, secrets: &str) -> Setup {
    let (setup, origin) = (Setup::empty(), platform.origin());
    setup.write(
        "host.toml",
        &format!(
            "[[source]]\nname = \"contoso\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n[source.config]\ntenant_id = \"{TENANT}\"\n\
             client_id = \"{CLIENT}\"\napi = \"siem\"\nregion = \"eu\"\npoll_interval = \"PT1S\"\n[source.config.endpoints]\n\
             token = \"{origin}/{TENANT}/oauth2/token\"\napi = \"{origin}\"\n[source.secrets]\n{secrets}\n",
            defender().display()
        ),
    );
    setup
}

/// The program on this platform, where a proxy leads nowhere.
fn command<const N: usize>(setup: &Setup, arguments: &[&str], platform: [(&str, String); N]) -> Command {
    let mut command = setup.command(arguments);
    command
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("http_proxy", "http://127.0.0.1:1")
        .env("NO_PROXY", "127.0.0.1");
    command.envs(platform);
    command
}

fn start<const N: usize>(setup: &Setup, platform: [(&str, String); N]) -> Child {
    let said = File::options().append(true).create(true).open(setup.path("stderr")).unwrap();
    let mut command = command(setup, &["run", "--config", "host.toml", "--out", "out.ndjson"], platform);
    command.env("RUST_LOG", "trace,cranelift=off,regalloc2=off,wasmtime=off");
    command.stderr(Stdio::from(said)).spawn().unwrap()
}

fn once<const N: usize>(setup: &Setup, platform: [(&str, String); N]) -> Ended {
    let mut command = command(setup, &["run", "--config", "host.toml", "--once"], platform);
    Ended::from(command.stderr(Stdio::piped()).output().unwrap())
}

/// Ends it, looks through what it showed, and says what it logged.
#[track_caller]
fn end(mut child: Child, setup: &Setup) -> String {
    terminate(&child);
    let said = setup.read("stderr");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    let shown = said + &setup.read("state/contoso.json");
    assert!(!shown.contains("canary"), "{shown}");
    shown
}

#[test]
fn tokens_are_asked_for_as_each_platform_has_it_and_renewed_before_they_end() {
    for is_app in [true, false] {
        for client_id in [None, Some(OTHER)] {
            let platform = Platform::start();
            platform.state().life = Duration::from_secs(6);
            platform.state().client_id = client_id;
            let setup = setup(
                &platform,
                &match client_id {
                    Some(client_id) => {
                        format!("access_token = {{ managed_identity = {{ client_id = \"{client_id}\" }} }}")
                    }
                    None => IDENTITY.to_owned(),
                },
            );
            let child = if is_app { start(&setup, platform.app()) } else { start(&setup, platform.virtual_machine()) };
            wait_for(|| platform.taken_from(2) > 0);
            end(child, &setup);
            platform.assert_asked_right();
            assert_eq!(platform.refused(), 0, "none was used up to its end");
            let (asked, polls) = (platform.asked(), platform.requests());
            assert!(asked < polls, "{asked} tokens for {polls} requests");
        }
    }
}

#[test]
fn a_token_that_the_api_refuses_is_renewed_in_the_same_poll() {
    let platform = Platform::start();
    let setup = setup(&platform, IDENTITY);
    let child = start(&setup, platform.virtual_machine());
    for number in [1, 2] {
        wait_for(|| platform.taken_from(number - 1) > 0);
        platform.revoke();
        wait_for(|| platform.taken_from(number) > 1);
        assert_eq!((platform.refused(), platform.asked()), (number, number + 1));
    }
    let said = end(child, &setup);
    assert!(!said.contains("request failed") && !said.contains("has no token"), "{said}");
    platform.assert_asked_right();
}

#[test]
fn a_token_that_is_refused_although_it_was_renewed_ends_the_source() {
    let platform = Platform::start();
    let setup = setup(&platform, IDENTITY);
    platform.state().hands_out_again = true;
    once(&setup, platform.virtual_machine()).succeeded();
    platform.revoke();
    let ended = once(&setup, platform.virtual_machine());
    ended.failed(3, &["refused the access token of the configuration", "put it where `access_token` comes from"]);
    assert_eq!((platform.refused(), platform.asked()), (1, 3));
    // Another one each time is refused as well, and that has an end.
    platform.state().hands_out_again = false;
    platform.state().life = Duration::ZERO;
    once(&setup, platform.virtual_machine()).failed(3, &["refused the access token"]);
    assert_eq!(platform.refused(), 4);
}

#[test]
fn a_token_that_is_handed_out_up_to_its_end_is_waited_out() {
    let platform = Platform::start();
    platform.state().hands_out_again = true;
    platform.state().life = Duration::from_secs(200);
    let setup = setup(&platform, IDENTITY);
    let child = start(&setup, platform.virtual_machine());
    wait_for(|| platform.taken_from(0) > 0);
    platform.revoke();
    wait_for(|| setup.read("stderr").contains("it is about to end, and was refused"));
    platform.state().hands_out_again = false;
    wait_for(|| platform.taken_from(1) > 0);
    end(child, &setup);
    assert_eq!(platform.refused(), 1);
}

#[test]
fn a_platform_that_is_down_is_told_and_waited_for_and_ends_nothing() {
    let platform = Platform::start();
    platform.state().life = Duration::from_secs(6);
    let setup = setup(&platform, IDENTITY);
    let child = start(&setup, platform.app());
    wait_for(|| platform.taken_from(0) > 0);
    platform.state().is_down = true;
    wait_for(|| setup.read("stderr").contains("the token that is there is used until its end"));
    let asked = platform.asked();
    wait_for(|| platform.asked() > asked + 3);
    platform.state().is_down = false;
    let taken = platform.taken_from(0);
    wait_for(|| platform.taken_from(0) > taken);
    let said = end(child, &setup);
    assert!(said.contains("the token service of the app (IDENTITY_ENDPOINT) refused (HTTP 503)"), "{said}");
    assert_eq!(platform.refused(), 0);
}

#[test]
fn a_kill_leaves_nothing_of_a_token_and_the_next_start_asks_for_one() {
    let platform = Platform::start();
    let setup = setup(&platform, IDENTITY);
    for number in 0..3 {
        let mut child = start(&setup, platform.virtual_machine());
        wait_for(|| platform.taken_from(number) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    once(&setup, platform.virtual_machine()).succeeded();
    assert_eq!((platform.asked(), platform.refused()), (4, 0));
    let shown = setup.read("stderr") + &setup.read("state/contoso.json");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn what_passes_by_itself_is_asked_again_and_the_rest_says_what_to_do() {
    let platform = Platform::start();
    let system = setup(&platform, IDENTITY);
    platform.state().answers.extend([(410, ""), (429, "{}")]);
    once(&system, platform.virtual_machine()).succeeded();
    assert_eq!(platform.asked(), 3);

    let not_found = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    platform.state().answers.push_back((400, not_found));
    once(&system, platform.virtual_machine()).failed(
        1,
        &[
            "the managed identity has no token for `access_token` now: the metadata service of the virtual machine refused (HTTP \
             400): invalid_request: Identity not found",
            "switch the identity of this virtual machine on, under 'Identity', 'System assigned'",
        ],
    );
    let assigned = setup(&platform, &format!("access_token = {{ managed_identity = {{ client_id = \"{OTHER}\" }} }}"));
    let message = r#"{"statusCode":400,"message":"No User Assigned Managed Identity found for canary-853b9a84-5bfa-4b22.","correlationId":"c-1"}"#;
    platform.state().client_id = Some(OTHER);
    platform.state().answers.push_back((400, message));
    once(&assigned, platform.app()).failed(
        1,
        &[
            "the managed identity 33333333-3333-4333-8333-333333333333 has no token",
            "No User Assigned Managed Identity found for ***. (correlationId c-1)",
            "assign the identity of the client ID 33333333-3333-4333-8333-333333333333 to this app",
        ],
    );
    platform
        .state()
        .answers
        .push_back((400, r#"{"error":"invalid_resource","error_description":"AADSTS500011: no."}"#));
    once(&assigned, platform.app()).failed(1, &["the tenant knows no application https://graph.windows.net"]);
    platform.state().answers.push_back((200, "<html>Log in to this network</html>"));
    once(&assigned, platform.app()).failed(1, &["answered without a token (HTTP 200)"]);
    platform.assert_asked_right();

    let nowhere = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1".to_owned())];
    let expected =
        ["does not answer: Connection refused", "a managed identity is there for programs that run on Azure"];
    once(&system, nowhere.clone()).failed(1, &expected);
    let checked =
        command(&system, &["check", "--config", "host.toml"], nowhere).stderr(Stdio::piped()).output().unwrap();
    Ended::from(checked).failed(1, &expected);
    let arc = [("IDENTITY_ENDPOINT", "http://localhost:40342/token".to_owned())];
    once(&system, arc).failed(2, &["source `contoso`: no managed identity can be used", "Azure Arc"]);
}

#[test]
fn check_tells_what_the_token_of_an_identity_says_of_itself() {
    let platform = Platform::start();
    let setup = setup(&platform, IDENTITY);
    let check = || {
        let mut command = command(&setup, &["check", "--config", "host.toml"], platform.app());
        Ended::from(command.stderr(Stdio::piped()).output().unwrap())
    };
    let sentence = |with: &str| {
        format!("The token is for https://graph.windows.net, of the tenant {TENANT}, with {with}, for another ")
    };
    let remedy = "The service principal of the managed identity needs an app role assignment";
    // 2100-01-01.
    let (some, none) = (
        r#"{"aud":"https://graph.windows.net","tid":"11111111-1111-4111-8111-111111111111","roles":["Alert.Read.All"],"exp":4102444800}"#,
        r#"{"aud":"https://graph.windows.net","tid":"11111111-1111-4111-8111-111111111111","exp":4102444800}"#,
    );
    platform.state().claims = Some(some);
    let ended = check().succeeded();
    assert!(
        ended.stdout.contains(&format!("contoso: ok: {}", sentence("the permissions Alert.Read.All"))),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("app role"), "{ended:?}");
    platform.state().claims = Some(none);
    let ended = check().succeeded();
    assert!(ended.stdout.contains(&format!("contoso: ok: {}", sentence("no permission"))), "{ended:?}");
    assert!(ended.stdout.contains("contoso: warning: The token holds no permission at all"), "{ended:?}");
    assert!(ended.stdout.contains(remedy) && !format!("{ended:?}").contains("canary"), "{ended:?}");
    platform.state().claims =
        Some(r#"{"aud":"https://other.example","tid":"22222222-2222-4222-8222-222222222222","roles":["A.Read"]}"#);
    let ended = check().succeeded();
    for warning in [
        "The token is for https://other.example, and the API wants one for https://graph.windows.net (`endpoints.audience`)",
        &format!("The token is of the tenant 22222222-2222-4222-8222-222222222222, and `tenant_id` is {TENANT}"),
    ] {
        assert!(ended.stdout.contains(&format!("contoso: warning: {warning}")), "{ended:?}");
    }
    platform.state().claims = Some(none);
    // The same beside what the component says of a refusal.
    platform.state().api_status = 403;
    let ended = check();
    let ended = ended.failed(1, &["http.status-403", &sentence("no permission"), remedy]);
    assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
    platform.state().api_status = 500;
    assert!(!check().stderr.contains("The token is for"), "it is no refusal of the token");
}

#[test]
fn a_managed_identity_proves_an_application_that_trusts_it() {
    let platform = Platform::start();
    platform.state().resource = "api://AzureADTokenExchange";
    let identity = |more: &str| format!("federated_token = {{ managed_identity = {{ {more} }} }}");
    let trusted = setup(&platform, &identity("resource = \"api://AzureADTokenExchange\""));
    once(&trusted, platform.virtual_machine()).succeeded();
    assert_eq!((platform.taken_from(0) > 0, platform.refused()), (true, 0));
    platform.assert_asked_right();
    let vague = setup(&platform, &identity(""));
    once(&vague, platform.virtual_machine()).failed(
        2,
        &["nothing says what the token of the managed identity for `federated_token` is for", "add `resource`"],
    );
}

#[test]
fn what_a_managed_identity_cannot_be_is_told_where_it_is_written() {
    let platform = Platform::start();
    for (secrets, words) in [
        (
            "access_token = { managed_identity = {}, expose = true }",
            "host.toml:15: `access_token` is not to be exposed",
        ),
        ("access_token = { managed_identity = {}, file = \"a\" }", "host.toml:15: say where `access_token` comes from"),
        ("access_token = { managed_identity = {}, key = \"a\" }", "host.toml:15: say where `access_token` comes from"),
        ("access_token = { managed_identity = {}, keep = \"a\" }", "host.toml:15: say where `access_token` comes from"),
        ("access_token = { managed_identity = { client_id = \"contoso\" } }", "host.toml:15: `contoso` is no GUID"),
        ("access_token = { managed_identity = { tenant = \"x\" } }", "host.toml:15: "),
        ("access_token = { env = \"A\", spare = { managed_identity = {} } }", "host.toml:15: say where `access_token`"),
    ] {
        let setup = setup(&platform, secrets);
        once(&setup, platform.virtual_machine()).failed(2, &[words]);
    }
    assert_eq!(platform.asked(), 0);
}
