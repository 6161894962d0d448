//! What is told of a token that says something of itself.

use ::base64::Engine as _;
use ::base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;
use crate::contract::Level;

const TENANT: &str = "11111111-1111-4111-8111-111111111111";

/// A source with a token of its own, that is of another tenant, without a permission, and ends at 13:00.
fn rig(machine: impl FnOnce(Config) -> Machine) -> Rig {
    let claims = r#"{"aud":"https://graph.windows.net","tid":"33333333-3333-4333-8333-333333333333","exp":1767272400}"#;
    rig_with(r#""api":"siem","region":"eu""#, claims, machine)
}

/// A source with a token of its own of these claims.
fn rig_with(api: &str, claims: &str, machine: impl FnOnce(Config) -> Machine) -> Rig {
    let config = format!(
        r#"{{"tenant_id":"{TENANT}","client_id":"22222222-2222-4222-8222-222222222222",{api},"access_token":"eyJ.{}.signature"}}"#,
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    );
    let now = Now { wall: Tick::parse(NOW).unwrap(), monotonic: 0 };
    Rig { machine: machine(Config::parse(&config).unwrap()), now, requests: Vec::new() }
}

#[test]
fn a_probe_tells_what_the_token_says_and_everything_that_looks_wrong_with_it() {
    let batch = rig(Machine::probe).poll(BUDGET, |_| ok("[]")).unwrap();
    let told: Vec<(Level, &str)> = batch
        .notices
        .iter()
        .map(|notice| (notice.level, notice.code.as_str()))
        .filter(|(_, code)| code.starts_with("claims"))
        .collect();
    assert_eq!(
        told,
        [(Level::Note, "claims.token"), (Level::Warning, "claims.tenant"), (Level::Warning, "claims.permission")]
    );
    let passed = batch.notices.iter().find(|notice| notice.code == "probe.passed").unwrap();
    assert!(passed.message.ends_with("which answered the smallest request with 0 rows"), "{passed:?}");
    let sentence = batch.notices.iter().find(|notice| notice.code == "claims.token").unwrap();
    assert!(sentence.message.ends_with("with no permission (`roles`), for another 60 min."), "{sentence:?}");
}

#[test]
fn a_refusal_says_what_the_token_lacks_and_first_what_to_do_about_that() {
    let mut rig = rig(|config| Machine::new(config, &Position::Resume(None)).unwrap());
    let Err(Failure::Forbidden(fault)) = rig.poll(BUDGET, |_| (403, Vec::new(), "no".to_owned())) else {
        panic!("it is forbidden")
    };
    let said = format!(
        " The token is for https://graph.windows.net, of the tenant 33333333-3333-4333-8333-333333333333, with no permission \
         (`roles`), for another 60 min. The token is of the tenant 33333333-3333-4333-8333-333333333333, and `tenant_id` is \
         {TENANT}. The token holds no permission at all (neither `roles` nor `scp`)."
    );
    assert!(fault.message.ends_with(&said), "{}", fault.message);
    let hint = fault.hint.unwrap();
    let at = |part: &str| hint.find(part).unwrap_or_else(|| panic!("no `{part}` in {hint}"));
    assert!(
        at("'Grant admin consent'") < at("into `tenant_id`") && at("into `tenant_id`") < at("See docs/errors.md"),
        "{hint}"
    );
}

#[test]
fn what_forbids_is_the_permission_only_where_the_token_lacks_it() {
    const LACKS: &str = "lacks the permission";
    const ADD: &str = "Add a permission";
    for (api, holds, lacks) in [
        (r#""api":"alerts""#, r#""roles":["Alert.Read.All"]"#, r#""roles":["Machine.Read.All"]"#),
        (r#""api":"alerts""#, r#""scp":"Alert.Read""#, r#""scp":"Machine.Read""#),
    ] {
        for (permission, is_lacking) in [(holds, false), (lacks, true)] {
            let mut rig = rig_with(api, &format!("{{{permission}}}"), |config| {
                Machine::new(config, &Position::Resume(None)).unwrap()
            });
            let Err(Failure::Forbidden(fault)) = rig.poll(BUDGET, |_| (403, Vec::new(), String::new())) else {
                panic!("it is forbidden")
            };
            let hint = fault.hint.unwrap();
            assert_eq!(fault.message.contains(LACKS), is_lacking, "{}", fault.message);
            assert_eq!(hint.contains(ADD), is_lacking, "{hint}");
            assert!(!hint.contains("as an application permission"), "{hint}");
        }
    }
}

#[test]
fn where_no_permission_is_known_all_likely_causes_of_a_refusal_are_named() {
    let mut rig = rig_with(r#""api":"siem","region":"eu""#, r#"{"roles":["Directory.Read.All"]}"#, |config| {
        Machine::new(config, &Position::Resume(None)).unwrap()
    });
    let Err(Failure::Forbidden(fault)) = rig.poll(BUDGET, |_| (403, Vec::new(), String::new())) else {
        panic!("it is forbidden")
    };
    assert!(fault.message.contains("or the application lacks the permission to read alerts"), "{}", fault.message);
}
