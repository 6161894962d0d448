//! The component that is shipped, live against each API beside SIEM's, and moved from one to the next.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::odata::{ALERTS, Api, CLIENT, GRAPH, INCIDENTS, Service, TENANT, Thing, XDR, seconds_ago, stamp};
use crate::server::SECRET;
use crate::setup::{Ended, Setup, defender};

static APIS: [&Api; 4] = [&ALERTS, &GRAPH, &INCIDENTS, &XDR];

/// A source `contoso` of this API; `more` goes into its `config`.
fn configure(setup: &Setup, service: &Service, api: &str, more: &str) {
    let origin = &service.origin;
    let (path, token) = match api {
        "siem" => ("/api/alerts", "oauth2/token"),
        _ => (service.api.path, "oauth2/v2.0/token"),
    };
    let config = format!(
        "[[source]]\nname = \"contoso\"\ncomponent = '{}'\nallow = [\"{origin}\"]\n\
         secrets = {{ client_secret = {{ file = \"secret\" }} }}\n[source.config]\ntenant_id = \"{TENANT}\"\n\
         client_id = \"{CLIENT}\"\napi = \"{api}\"\nstart = \"PT2H\"\n{more}\n[source.config.endpoints]\n\
         token = \"{origin}/{TENANT}/{token}\"\napi = \"{origin}{path}\"\n",
        defender().display()
    );
    setup.write("host.toml", &config);
    setup.write("secret", SECRET);
}

/// The events of a run, without gaps, by key.
fn events(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut events: Vec<Value> = lines.collect();
    assert!(events.iter().all(|event| event["kind"] != "gap"), "{}", ended.stdout);
    events.sort_by_key(|event| event["key"].to_string());
    events
}

fn keys(ended: &Ended) -> Vec<String> {
    events(ended).iter().map(|event| event["key"].as_str().unwrap().to_owned()).collect()
}

fn id(service: &Service, thing: &Thing) -> String {
    if service.api.id == "id" { format!("da{}", thing.id) } else { thing.id.to_string() }
}

/// The keys of the versions that the service shows now.
fn versions(service: &Service, things: &[Thing]) -> Vec<String> {
    let key = |thing: &Thing| format!("{}@{}", id(service, thing), stamp(thing.updated));
    let mut keys: Vec<String> = things.iter().map(key).collect();
    keys.sort();
    keys
}

/// Things of the last two hours, five of them on one tick.
fn things() -> Vec<Thing> {
    let spread = (1..=6).map(|id| Thing::seconds_ago(id, 7_000 - 1_000 * i64::try_from(id).unwrap()));
    let tick = Thing::seconds_ago(0, 4_400);
    let crowd = (11..=15).map(|id| Thing { id, ..tick.clone() });
    spread.chain(crowd).collect()
}

#[test]
fn each_api_is_read_to_the_last_row_and_what_was_updated_since_comes_again() {
    for api in APIS {
        for emit in ["every-update", "first-seen"] {
            let service = Service::start(api);
            service.state().things = things();
            let setup = Setup::empty();
            // Pages of three: full ones are halved, and the crowded tick is read page by page.
            configure(&setup, &service, api.name, &format!("limit = 3\nemit = \"{emit}\""));
            let first = setup.once(&[]).succeeded();
            let expected = match emit {
                "every-update" => versions(&service, &service.state().things),
                _ => {
                    let mut ids: Vec<_> = service.state().things.iter().map(|thing| id(&service, thing)).collect();
                    ids.sort();
                    ids
                }
            };
            assert_eq!(keys(&first), expected, "{api:?} {emit}");
            for event in events(&first) {
                let (kind, subject) = (event["kind"].as_str().unwrap(), event["subject"].as_str().unwrap());
                assert_eq!(kind, if api.name == "incidents" { "incident" } else { "alert" });
                assert!(event["key"].as_str().unwrap().starts_with(subject), "{event}");
                let body = &event["body"];
                let expands = if api.path == ALERTS.path { "evidence" } else { "alerts" };
                let is_expanded = api.path == ALERTS.path || api.path == INCIDENTS.path;
                assert_eq!(body.get(expands).is_some(), is_expanded, "{event}");
                assert!(body[api.updated].is_string() && event["attributes"].is_null(), "{event}");
            }
            let new = Thing::seconds_ago(21, 120);
            let updated = seconds_ago(130);
            let changed = {
                let mut state = service.state();
                state.things[4].updated = updated;
                state.things.push(new.clone());
                state.things[4].clone()
            };
            let second = setup.once(&[]).succeeded();
            let expected = match emit {
                "every-update" => versions(&service, &[new, changed]),
                _ => vec![id(&service, &new)],
            };
            assert_eq!(keys(&second), expected, "{api:?} {emit}");
            assert_eq!(keys(&setup.once(&[]).succeeded()), Vec::<String>::new());
            let turned = service.state().queries.iter().any(|query| query.contains("$skip=3"));
            assert!(turned, "the crowded tick has a second page");
            service.assert_all_right();
        }
    }
}

#[test]
fn check_asks_for_one_row_and_says_what_it_got() {
    for api in APIS {
        let service = Service::start(api);
        service.state().things = vec![Thing::seconds_ago(1, 5)];
        let setup = Setup::empty();
        configure(&setup, &service, api.name, "");
        let said = setup.run(&["check", "--config", "host.toml"]).succeeded().stdout;
        assert!(said.contains("contoso: ok: probe.passed: the token was accepted by 127.0.0.1"), "{said}");
        let queries = service.state().queries.clone();
        assert!(queries.len() == 1 && queries[0].contains("$top=1"), "{queries:?}");
        service.assert_all_right();
    }
}

#[test]
fn the_plan_names_both_origins_and_whose_checkpoints_are_taken() {
    for api in APIS {
        let service = Service::start(api);
        let setup = Setup::empty();
        configure(&setup, &service, api.name, "");
        let plan = setup.run(&["plan", "--config", "host.toml"]).succeeded().stdout;
        let plan: Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(plan["identity"], format!("microsoft-defender/{}/{TENANT}", api.name));
        let accepted = [format!("microsoft-defender/siem/{TENANT}")];
        let accepted = if api.name == "incidents" { json!([]) } else { json!(accepted) };
        assert_eq!(plan["accepts"], accepted);
        let purposes: Vec<_> = plan["origins"].as_array().unwrap().iter().map(|origin| &origin["purpose"]).collect();
        assert_eq!(purposes, ["token", "api"]);
        assert_eq!(plan["effective_config"]["endpoints"]["audience"], api.audience);
        let codes: Vec<_> =
            plan["notes"].as_array().unwrap().iter().map(|note| note["code"].as_str().unwrap()).collect();
        assert!(!codes.contains(&"plan.siem-deprecated"), "{codes:?}");
        configure(&setup, &service, "siem", "");
        let plan = setup.run(&["plan", "--config", "host.toml"]).succeeded().stdout;
        assert!(plan.contains("plan.siem-deprecated") && plan.contains("`api` = `graph` or `alerts`"), "{plan}");
    }
}

#[test]
fn a_source_of_the_siem_api_moves_to_its_successors_with_its_state_and_loses_nothing() {
    for api in [&ALERTS, &GRAPH] {
        let service = Service::start(api);
        // Detections, and the alerts of the same; one more is shown by the successor alone, whose clock is another.
        let detections: Vec<Thing> =
            (1..=4_u64).map(|id| Thing::seconds_ago(id, 7_100 - 1_500 * id.cast_signed())).collect();
        let alerts =
            detections.iter().map(|thing| Thing { updated: thing.updated + TimeDelta::seconds(40), ..thing.clone() });
        let (alerts, late) = (alerts.collect::<Vec<_>>(), Thing::seconds_ago(9, 6_900));
        service.state().detections = detections;
        service.state().things = alerts.iter().cloned().chain([late]).collect();
        let setup = Setup::empty();
        configure(&setup, &service, "siem", "");
        assert_eq!(keys(&setup.once(&[]).succeeded()), ["da1:one", "da2:one", "da3:one", "da4:one"]);
        let document = setup.run(&["state", "export", "--config", "host.toml"]).succeeded().stdout;
        setup.write("siem.json", &document);

        configure(&setup, &service, api.name, "");
        let shown = setup.run(&["state", "show", "--config", "host.toml"]).succeeded().stdout;
        assert!(shown.contains(&format!("belongs to  microsoft-defender/siem/{TENANT}")), "{shown}");
        let moved = setup.once(&[]).succeeded();
        assert!(
            moved.stderr.contains("checkpoint.taken-over") && moved.stderr.contains("this source begins at"),
            "{}",
            moved.stderr
        );
        assert_eq!(keys(&moved), versions(&service, &service.state().things));
        let subjects: Vec<_> = events(&moved).iter().map(|event| event["subject"].clone()).collect();
        assert_eq!(subjects, ["da1", "da2", "da3", "da4", "da9"], "the subject joins them");
        let shown = setup.run(&["state", "show", "--config", "host.toml"]).succeeded().stdout;
        assert!(shown.contains(&format!("belongs to  microsoft-defender/{}/{TENANT}", api.name)), "{shown}");
        let again = setup.once(&[]).succeeded();
        assert!(again.stdout.is_empty() && !again.stderr.contains("taken-over"), "{again:?}");

        // What was exported from the SIEM API is imported into a source of its successor, and not the other way round.
        let import = |setup: &Setup, file: &str| setup.run(&["state", "import", "--config", "host.toml", file]);
        let elsewhere = Setup::empty();
        configure(&elsewhere, &service, api.name, "");
        elsewhere.write("siem.json", &document);
        import(&elsewhere, "siem.json").succeeded();
        assert_eq!(keys(&elsewhere.once(&[]).succeeded()), versions(&service, &service.state().things));
        let document = elsewhere.run(&["state", "export", "--config", "host.toml"]).succeeded().stdout;
        let back = Setup::empty();
        configure(&back, &service, "siem", "");
        back.write("successor.json", &document);
        import(&back, "successor.json").failed(1, &["belongs to `microsoft-defender/", "hint: "]);
        service.assert_all_right();
    }
}

#[test]
fn incidents_do_not_go_on_where_detections_stopped() {
    let service = Service::start(&INCIDENTS);
    let setup = Setup::empty();
    configure(&setup, &service, "siem", "");
    setup.once(&[]).succeeded();
    configure(&setup, &service, "incidents", "");
    setup.once(&[]).failed(1, &["belongs to `microsoft-defender/siem/"]);
    assert!(service.state().queries.is_empty());
}
