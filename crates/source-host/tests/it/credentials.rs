//! The component that is shipped, with credentials that a token endpoint verifies by another library than ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use x509_cert::der::Decode as _;

use crate::process::{terminate, wait_for};
use crate::setup::{Ended, Setup, defender};
use crate::wire::{Request, accept};

const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Thumbprints as `openssl x509 -fingerprint` has them, in base64url: of the file, with SHA-1 and with SHA-256.
const THUMBPRINTS: [(&str, &str, &str); 2] = [
    ("first.pem", "bUzq8_3rbq1RLmIb1Xybx0p2nm4", "Lnc67Gx-v6o-qXMOUGmpqe4OZ8kh_rdplcBbVndt2Hk"),
    ("second.pem", "U6PeRbv_u1a-3lzzFZTj-jXSmhw", "qE59rZ_8vQEyDkouwriII19HqZFnTUMEq_2XUFa83W8"),
];

/// What a token endpoint found out about a request: who signed it, or why it is refused.
type Verdict = Result<String, String>;
type Verify = dyn Fn(&str, &BTreeMap<String, String>) -> Verdict + Send + Sync;

/// A token endpoint that verifies, and an API without detections.
struct Service {
    origin: String,
    verdicts: Arc<Mutex<Vec<Verdict>>>,
}

impl Service {
    fn start(verify: impl Fn(&str, &BTreeMap<String, String>) -> Verdict + Send + Sync + 'static) -> Self {
        Self::refusing(700_027, verify)
    }

    /// One that refuses with this code.
    fn refusing(
        code: u32,
        verify: impl Fn(&str, &BTreeMap<String, String>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (verdicts, verify): (_, Arc<Verify>) = (Arc::<Mutex<Vec<Verdict>>>::default(), Arc::new(verify));
        let (told, at) = (Arc::clone(&verdicts), origin.clone());
        accept(listener, move |stream| serve(stream, &at, code, &*verify, &told));
        Self { origin, verdicts }
    }

    fn has_accepted(&self, signer: &str) -> bool {
        self.verdicts.lock().unwrap().last() == Some(&Ok(signer.to_owned()))
    }

    /// Nothing that it was sent was refused.
    fn assert_all_accepted(&self) {
        for verdict in &*self.verdicts.lock().unwrap() {
            assert!(verdict.is_ok(), "{verdict:?}");
        }
    }
}

fn serve(mut stream: TcpStream, origin: &str, code: u32, verify: &Verify, verdicts: &Mutex<Vec<Verdict>>) {
    let Some(request) = Request::read(&mut BufReader::new(stream.try_clone().unwrap())) else { return };
    let (status, body) = if request.path.ends_with("/token") {
        let form = form(&request.body);
        let verdict = verify(&format!("{origin}{}", request.path), &form);
        let is_right = verdict.is_ok();
        verdicts.lock().unwrap().push(verdict);
        // A token of a second makes every poll ask for another.
        let token = r#"{"token_type":"Bearer","expires_in":"1","access_token":"canary-token-of-a-second"}"#;
        let refusal = format!(r#"{{"error":"invalid_client","error_codes":[{code}]}}"#);
        if is_right { (200, token.to_owned()) } else { (401, refusal) }
    } else {
        let bearer = request.headers.get("authorization").map(String::as_str);
        if bearer == Some("Bearer canary-token-of-a-second") { (200, "[]".to_owned()) } else { (401, String::new()) }
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // A client that went away has its reasons.
    drop(stream.write_all(answer.as_bytes()));
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let body = std::str::from_utf8(body).unwrap();
    body.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn public_key(name: &str) -> DecodingKey {
    let der = CertificateDer::from_pem_file(fixture(name)).unwrap();
    let certificate = x509_cert::Certificate::from_der(&der).unwrap();
    DecodingKey::from_rsa_der(certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes())
}

/// The assertion of a form that says what it is, and no secret beside it.
fn assertion(form: &BTreeMap<String, String>) -> Result<&str, String> {
    let expected = [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_id", CLIENT),
        ("grant_type", "client_credentials"),
    ];
    if expected.iter().any(|(name, value)| form.get(*name).map(String::as_str) != Some(value)) || form.len() != 5 {
        return Err(format!("{form:?}"));
    }
    form.get("client_assertion").map(String::as_str).ok_or_else(|| "no assertion".to_owned())
}

/// Verifies as Microsoft Entra ID documents it, and says with which certificate it was signed.
fn verify_certificate(url: &str, form: &BTreeMap<String, String>, algorithm: Algorithm) -> Verdict {
    let assertion = assertion(form)?;
    let header = jsonwebtoken::decode_header(assertion).map_err(|error| error.to_string())?;
    let thumbprints = (header.x5t.as_deref(), header.x5t_s256.as_deref());
    let expected = |sha1, sha256| if algorithm == Algorithm::PS256 { (None, Some(sha256)) } else { (Some(sha1), None) };
    let known = THUMBPRINTS.iter().find(|(_, sha1, sha256)| thumbprints == expected(*sha1, *sha256));
    let (name, ..) = known.ok_or_else(|| format!("{header:?}"))?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[url]);
    validation.set_issuer(&[CLIENT]);
    validation.set_required_spec_claims(&["aud", "exp", "iss", "nbf", "sub"]);
    validation.sub = Some(CLIENT.to_owned());
    (validation.validate_nbf, validation.leeway) = (true, 0);
    let decoded = jsonwebtoken::decode::<Value>(assertion, &public_key(name), &validation);
    let claims = decoded.map_err(|error| format!("{error}: {header:?}"))?.claims;
    let seconds = claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap();
    let is_right = seconds <= 600 && claims["jti"].as_str().is_some_and(|id| id.len() >= 16);
    if is_right { Ok((*name).to_owned()) } else { Err(claims.to_string()) }
}

/// A configuration of the component that is shipped, for this service.
fn setup(service: &Service, version: &str, secrets: &str) -> Setup {
    let (setup, origin) = (Setup::empty(), &service.origin);
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
    setup
}

fn start(setup: &Setup) -> Child {
    let said = File::create(setup.path("stderr")).unwrap();
    let mut command = setup.command(&["run", "--config", "host.toml", "--out", "out.ndjson"]);
    command.env("RUST_LOG", "trace,cranelift=off,regalloc2=off,wasmtime=off");
    command.stderr(Stdio::from(said)).spawn().unwrap()
}

/// Puts a file in place of another at once, as whoever rotates credentials should.
fn replace(setup: &Setup, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(setup.path("next"), bytes).unwrap();
    std::fs::rename(setup.path("next"), setup.path(name)).unwrap();
}

#[test]
fn a_certificate_signs_every_token_request_and_a_replaced_one_is_used_without_a_restart() {
    for (version, algorithm) in [("v1", Algorithm::RS256), ("v2", Algorithm::PS256)] {
        let service = Service::start(move |url, form| verify_certificate(url, form, algorithm));
        let setup = setup(&service, version, "certificate = { pem = \"app.pem\" }");
        let pem = |name: &str| std::fs::read_to_string(fixture(name)).unwrap();
        setup.write("app.pem", &pem("first.pem"));
        let mut child = start(&setup);
        wait_for(|| service.has_accepted("first.pem"));
        replace(&setup, "app.pem", pem("second.pem"));
        wait_for(|| service.has_accepted("second.pem"));
        replace(&setup, "app.pem", pem("expired.pem"));
        let said = || setup.read("stderr");
        wait_for(|| said().contains("app.pem expired on 2020-01-01 00:00:00 UTC"));
        replace(&setup, "app.pem", pem("first.pem"));
        wait_for(|| service.has_accepted("first.pem"));
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", said());
        service.assert_all_accepted();
        // Nothing of either key is shown, nor an assertion.
        let keys: Vec<String> = ["first.pem", "second.pem"].map(pem).concat().lines().map(str::to_owned).collect();
        let shown = said() + &setup.read("state/contoso.json");
        assert!(!keys.iter().any(|line| line.len() > 40 && shown.contains(line)), "{shown}");
        assert!(!shown.contains("eyJ"), "{shown}");
    }
}

#[test]
fn a_pkcs12_file_signs_every_token_request_and_it_and_its_password_are_replaced_without_a_restart() {
    for (version, algorithm) in [("v1", Algorithm::RS256), ("v2", Algorithm::PS256)] {
        let service = Service::start(move |url, form| verify_certificate(url, form, algorithm));
        let secrets = "certificate = { pkcs12 = \"app.pfx\", password = { file = \"password\" } }";
        let setup = setup(&service, version, secrets);
        setup.write("password", "canary-pässwörd €\n");
        let put = |name: &str| replace(&setup, "app.pfx", std::fs::read(fixture(name)).unwrap());
        put("modern.pfx");
        let mut child = start(&setup);
        wait_for(|| service.has_accepted("first.pem"));
        put("legacy.pfx");
        wait_for(|| service.has_accepted("second.pem"));
        put("keytool.p12");
        let said = || setup.read("stderr");
        wait_for(|| said().contains("app.pfx is not opened by the password from "));
        replace(&setup, "password", "canary-password");
        wait_for(|| service.has_accepted("first.pem"));
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{}", said());
        service.assert_all_accepted();
        let shown = said() + &setup.read("state/contoso.json");
        assert!(!shown.contains("canary-") && !shown.contains("eyJ"), "{shown}");
    }
}

#[test]
fn the_password_of_a_pkcs12_file_and_of_a_key_in_pem_may_stand_in_the_environment() {
    let service = Service::start(|url, form| verify_certificate(url, form, Algorithm::PS256));
    for (member, name) in [("pkcs12", "python.pfx"), ("pem", "encrypted.pem")] {
        let files = format!("{member} = '{}', password = {{ env = \"PFX_PASSWORD\" }}", fixture(name).display());
        let setup = setup(&service, "v2", &format!("certificate = {{ {files} }}"));
        let run = |password| {
            let mut command = setup.command(&["run", "--config", "host.toml", "--once"]);
            Ended::from(command.env("PFX_PASSWORD", password).stderr(Stdio::piped()).output().unwrap())
        };
        run("canary-password").succeeded();
        let told = run("canary-wrong");
        told.failed(2, &["is not opened by the password from the environment variable PFX_PASSWORD", "hint: "]);
        setup.once(&[]).failed(
            2,
            &[
                "the secret `certificate.password` is missing: the environment variable PFX_PASSWORD is not set",
                "hint: set PFX_PASSWORD before starting",
            ],
        );
    }
    service.assert_all_accepted();
    assert!(service.has_accepted("first.pem"));
}

#[test]
fn a_certificate_that_cannot_sign_is_told_at_the_start() {
    let service = Service::start(|_, _| Err("nothing may be sent".to_owned()));
    for (member, name, words) in [
        ("pem", "expired.pem", "expired on 2020-01-01"),
        ("pem", "encrypted.pem", "needs a password"),
        ("pem", "ecdsa.pem", "is an ECDSA key"),
        ("pem", "modern.pfx", "is no PEM file, but PKCS#12"),
        ("pkcs12", "first.pem", "is no PKCS#12 file, but PEM"),
        ("pkcs12", "modern.pfx", "needs a password"),
    ] {
        let setup = setup(&service, "v2", &format!("certificate = {{ {member} = '{}' }}", fixture(name).display()));
        setup.once(&[]).failed(2, &["source `contoso`: nothing can be signed for `certificate`", words, "hint: "]);
    }
    assert!(service.verdicts.lock().unwrap().is_empty());
}

#[test]
fn the_spare_secret_is_sent_at_once_where_the_first_is_refused_and_the_first_again_once_it_was_replaced() {
    for code in [7_000_215, 7_000_222] {
        let good = Arc::new(Mutex::new("canary-first"));
        let accepted = Arc::clone(&good);
        let service = Service::refusing(code, move |_, form| {
            let sent = form.get("client_secret").cloned().unwrap_or_default();
            if sent == *accepted.lock().unwrap() { Ok(sent) } else { Err(sent) }
        });
        let setup = setup(&service, "v2", "client_secret = { file = \"first\", spare = { file = \"spare\" } }");
        setup.write("first", "canary-first");
        setup.write("spare", "canary-spare");
        let mut child = start(&setup);
        wait_for(|| service.has_accepted("canary-first"));
        *good.lock().unwrap() = "canary-spare";
        wait_for(|| service.has_accepted("canary-spare"));
        // It goes on with the spare one, and does not try the first again.
        let refused =
            |service: &Service| service.verdicts.lock().unwrap().iter().filter(|verdict| verdict.is_err()).count();
        let polls = service.verdicts.lock().unwrap().len();
        wait_for(|| service.verdicts.lock().unwrap().len() > polls + 1);
        assert_eq!(refused(&service), 1);
        *good.lock().unwrap() = "canary-third";
        replace(&setup, "first", "canary-third");
        wait_for(|| service.has_accepted("canary-third"));
        assert!(refused(&service) <= 2);
        terminate(&child);
        let said = setup.read("stderr");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        for expected in
            ["the first `client_secret` was refused as wrong or expired, and the spare one is used", "is used again"]
        {
            assert!(said.contains(expected), "no `{expected}` in\n{said}");
        }
        assert!(!said.contains("canary-"), "{said}");
    }
}

#[test]
fn where_both_secrets_are_refused_the_source_ends() {
    let service = Service::refusing(7_000_222, |_, _| Err("neither".to_owned()));
    let setup = setup(&service, "v1", "client_secret = { file = \"first\", spare = { env = \"SPARE\" } }");
    setup.write("first", "canary-first");
    let run = || {
        let mut command = setup.command(&["run", "--config", "host.toml", "--once"]);
        Ended::from(command.env("SPARE", "canary-spare").stderr(Stdio::piped()).output().unwrap())
    };
    run().failed(3, &["AADSTS7000222", "both values of `client_secret` were refused"]);
    assert_eq!(service.verdicts.lock().unwrap().len(), 2);
    setup.once(&[]).failed(2, &["the environment variable SPARE is not set"]);
    let text = setup.read("host.toml").replace("spare = {", "expose = true, spare = {");
    setup.write("host.toml", &text);
    run().failed(2, &["`client_secret` is not to be exposed"]);
}

#[test]
fn a_placeholder_is_blamed_where_no_secret_belongs_and_not_for_other_complaints() {
    let service = Service::start(|_, _| Err("never asked".to_owned()));
    let check = |secrets: &str| {
        let setup = setup(&service, "v1", secrets);
        setup.write("first", "canary-first");
        setup.run(&["check", "--config", "host.toml"])
    };
    for (secrets, said) in [
        ("client_secret = { file = \"first\" }\naccess_token = { file = \"first\" }", "is not the only credential"),
        ("client_secert = { file = \"first\" }", "client_secert"),
    ] {
        let ended = check(secrets).failed(2, &[said]);
        assert!(!ended.stderr.contains("expose"), "{}", ended.stderr);
    }
    let seen = "client_secret = { file = \"first\" }\nformat = { file = \"first\" }";
    check(seen).failed(2, &["`format` holds a placeholder", "format = { env = \"NAME\", expose = true }"]);
}

/// A token of another issuer, whose key is that of `second.pem`.
fn federated(generation: &str) -> String {
    let PrivateKeyDer::Pkcs1(key) = PrivateKeyDer::from_pem_file(fixture("second.pem")).unwrap() else {
        panic!("PKCS#1")
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "https://issuer.example", "sub": "workload", "aud": EXCHANGE, "exp": now + 3600, "generation": generation,
    });
    let key = EncodingKey::from_rsa_der(key.secret_pkcs1_der());
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

#[test]
fn a_federated_token_is_read_anew_for_every_token_request() {
    let service = Service::start(|_, form| {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[EXCHANGE]);
        validation.set_issuer(&["https://issuer.example"]);
        let decoded = jsonwebtoken::decode::<Value>(assertion(form)?, &public_key("second.pem"), &validation);
        let claims = decoded.map_err(|error| error.to_string())?.claims;
        Ok(claims["generation"].as_str().unwrap().to_owned())
    });
    let setup = setup(&service, "v2", "federated_token = { file = \"token\" }");
    setup.write("token", &federated("first"));
    let mut child = start(&setup);
    wait_for(|| service.has_accepted("first"));
    replace(&setup, "token", federated("second") + "\n");
    wait_for(|| service.has_accepted("second"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", setup.read("stderr"));
    service.assert_all_accepted();
    assert!(!setup.read("stderr").contains("eyJ"), "{}", setup.read("stderr"));
}
