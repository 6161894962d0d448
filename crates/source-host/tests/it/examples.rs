//! The configurations of `examples/credentials`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::setup::{Setup, defender};

#[test]
fn each_example_of_a_credential_is_read_and_sends_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/credentials");
    let mut sent = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "README.md" {
            continue;
        }
        let setup = Setup::empty();
        let component = format!("[[source]]\ncomponent = '{}'", defender().display());
        let text = std::fs::read_to_string(&path).unwrap();
        setup.write("host.toml", &text.replace("[[source]]", &component));
        let plan: Value =
            serde_json::from_str(&setup.run(&["plan", "--config", "host.toml"]).succeeded().stdout).unwrap();
        let fields: Vec<_> = plan["secrets"].as_array().unwrap().iter().map(place).collect();
        sent.insert(name, fields);
    }
    let expected = [
        ("certificate.toml", &["client_assertion"][..]),
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
