//! The configurations of `examples/credentials` and `examples/apis`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::setup::{Setup, defender};

#[test]
fn each_example_of_a_credential_is_read_and_sends_what_it_says() {
    let sent: BTreeMap<String, Vec<Value>> = plans("credentials")
        .map(|(name, plan)| (name, plan["secrets"].as_array().unwrap().iter().map(place).collect()))
        .collect();
    let expected = [
        ("certificate-pkcs12.toml", &["client_assertion"][..]),
        ("certificate.toml", &["client_assertion"]),
        ("client-secret.toml", &["client_secret"]),
        ("federated-token.toml", &["client_assertion"]),
        ("managed-identity.toml", &["Authorization: Bearer"]),
        ("two-secrets.toml", &["client_secret"]),
        ("user-of-web-application.toml", &["client_secret", "refresh_token"]),
        ("user.toml", &["refresh_token"]),
    ];
    let expected =
        expected.map(|(name, fields)| (name.to_owned(), fields.iter().map(|field| Value::from(*field)).collect()));
    assert_eq!(sent, BTreeMap::from(expected));
}

/// What of a request carries it.
fn place(secret: &Value) -> Value {
    secret.get("form_field").unwrap_or(&secret["header"]).clone()
}

#[test]
fn each_example_of_an_api_is_read_and_leads_where_it_says() {
    let led: BTreeMap<String, (Value, Value)> = plans("apis")
        .map(|(name, plan)| (name, (plan["identity"].clone(), plan["effective_config"]["endpoints"]["api"].clone())))
        .collect();
    let expected = [
        ("alerts.toml", "alerts", "eu.api.security.microsoft.com/api/alerts"),
        ("graph.toml", "graph", "graph.microsoft.com/v1.0/security/alerts_v2"),
        ("incidents-of-defender-xdr.toml", "incidents", "api.security.microsoft.com/api/incidents"),
        ("incidents.toml", "incidents", "graph.microsoft.us/v1.0/security/incidents"),
    ];
    let expected = expected.map(|(name, api, url)| {
        let identity = format!("microsoft-defender/{api}/72b0c1d2-86f1-41af-91ab-2d7cd011db00");
        (name.to_owned(), (identity.into(), format!("https://{url}").into()))
    });
    assert_eq!(led, BTreeMap::from(expected));
}

/// The plan of each configuration in a folder of examples, by the name of its file.
fn plans(folder: &str) -> impl Iterator<Item = (String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(folder);
    let paths = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).map(|path| {
        let setup = Setup::empty();
        let component = format!("[[source]]\ncomponent = '{}'", defender().display());
        let text = std::fs::read_to_string(&path).unwrap();
        setup.write("host.toml", &text.replace("[[source]]", &component));
        let plan = setup.run(&["plan", "--config", "host.toml"]).succeeded().stdout;
        (path.file_name().unwrap().to_str().unwrap().to_owned(), serde_json::from_str(&plan).unwrap())
    })
}
