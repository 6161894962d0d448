//! What asks for a token.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Config, TokenVersion};
use crate::http::{Method, Request};

/// What a form value carries as it is; a host's placeholder for a secret consists of such characters alone.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What goes before an assertion. Source: RFC 7523, section 2.2.
const ASSERTION_TYPE: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// Builds the request for a token, its fields in the order of Microsoft's page: with client credentials, or with the refresh
/// token of a user.
///
/// v1 says in `resource` what the token is for, v2 in `scope`, which is the audience and `/.default`: an audience that
/// ends in a slash keeps it, as Microsoft's v2 page asks for. With a refresh token, `offline_access` asks for the next one.
/// An assertion comes in place of the client secret.
///
/// Source: RFC 6749, sections 4.4.2 and 6; Microsoft Learn, "OAuth 2.0 authorization code flow", *Refresh the access token*.
pub fn token_request(config: &Config) -> Request {
    let refresh_token = config.credential.refresh_token();
    let (target, value) = match config.token_version {
        TokenVersion::V1 => ("resource", config.audience.clone()),
        TokenVersion::V2 if refresh_token.is_some() => {
            ("scope", format!("{}/.default offline_access", config.audience))
        }
        TokenVersion::V2 => ("scope", format!("{}/.default", config.audience)),
    };
    let application = config.credential.application();
    let credential = application.and_then(|(kind, secret)| Some((kind.form_field()?, secret.expose())));
    let assertion_type = credential.filter(|(name, _)| *name == "client_assertion").map(|_| ASSERTION_TYPE);
    let grant = if refresh_token.is_some() { "refresh_token" } else { "client_credentials" };
    let fields = [
        Some((target, value.as_str())),
        Some(("client_id", config.client_id.as_str())),
        assertion_type,
        credential,
        refresh_token.map(|token| ("refresh_token", token.expose())),
        Some(("grant_type", grant)),
    ];
    let mut body = String::new();
    for (name, value) in fields.into_iter().flatten() {
        if !body.is_empty() {
            body.push('&');
        }
        body.push_str(name);
        body.push('=');
        body.push_str(&form_encoded(value));
    }
    Request {
        method: Method::Post,
        url: config.token_endpoint.url.clone(),
        headers: vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("accept", "application/json".to_owned()),
        ],
        body: body.into_bytes(),
    }
}

/// A value as `application/x-www-form-urlencoded` carries it, a blank as `%20`.
pub(crate) fn form_encoded(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Credential, CredentialKind};
    use crate::test_config::{CANARY, config};

    fn body(config: &Config) -> String {
        String::from_utf8(token_request(config).body).unwrap()
    }

    #[test]
    fn v1_asks_with_the_fields_of_microsofts_page_in_its_order() {
        let mut config = config();
        config.credential = Credential::new(CredentialKind::ClientSecret, "a/b+c=");
        let request = token_request(&config);
        assert_eq!(request.method, Method::Post);
        assert_eq!(request.url, "https://login.microsoftonline.com/contoso.example/oauth2/token");
        assert_eq!(
            request.headers,
            [
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
                ("accept", "application/json".to_owned())
            ]
        );
        assert_eq!(
            body(&config),
            "resource=https%3A%2F%2Fgraph.windows.net&client_id=11111111-2222-3333-4444-555555555555\
             &client_secret=a%2Fb%2Bc%3D&grant_type=client_credentials"
        );
    }

    #[test]
    fn v2_asks_with_a_scope_in_place_of_a_resource() {
        let mut config = config();
        config.token_version = TokenVersion::V2;
        let body = body(&config);
        assert!(body.starts_with("scope=https%3A%2F%2Fgraph.windows.net%2F.default&client_id="), "{body}");
        assert!(!body.contains("resource="), "{body}");
    }

    #[test]
    fn every_character_of_a_secret_survives_the_form() {
        for secret in [CANARY, "a+b/c=d&e%f", "100%41", "semi;colon", "quote\"'`", "\u{fc}\u{2713}\u{1f511}", "a b\tc"]
        {
            let mut config = config();
            config.credential = Credential::new(CredentialKind::ClientSecret, secret);
            let body = body(&config);
            let field = body.split('&').find_map(|f| f.strip_prefix("client_secret=")).unwrap();
            assert_eq!(percent_encoding::percent_decode_str(field).decode_utf8().unwrap(), secret);
            assert_eq!(body.matches('&').count(), 3, "{body}");
            assert!(!field.contains('+'), "a plus would be read as a blank: {field}");
        }
    }

    #[test]
    fn a_placeholder_of_the_host_is_sent_as_it_is() {
        let mut config = config();
        config.credential = Credential::new(CredentialKind::ClientSecret, "SECRET_0-client-secret_aZ9");
        assert!(body(&config).contains("&client_secret=SECRET_0-client-secret_aZ9&"));
    }

    #[test]
    fn an_assertion_is_sent_with_its_type_in_place_of_a_secret_to_both_endpoints() {
        for kind in [CredentialKind::Certificate, CredentialKind::FederatedToken, CredentialKind::ClientAssertion] {
            for version in [TokenVersion::V1, TokenVersion::V2] {
                let mut config = config();
                config.token_version = version;
                config.credential = Credential::new(kind, "eyJ.e-0.s_g");
                let body = body(&config);
                let sent = "&client_id=11111111-2222-3333-4444-555555555555\
                    &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                    &client_assertion=eyJ.e-0.s_g&grant_type=client_credentials";
                assert!(body.ends_with(sent) && !body.contains("client_secret"), "{body}");
            }
        }
    }

    #[test]
    fn a_refresh_token_is_sent_alone_or_beside_what_proves_the_application() {
        let mut config = config();
        config.credential = Credential::new(CredentialKind::RefreshToken, "0.A+b/c");
        assert_eq!(
            body(&config),
            "resource=https%3A%2F%2Fgraph.windows.net&client_id=11111111-2222-3333-4444-555555555555\
             &refresh_token=0.A%2Bb%2Fc&grant_type=refresh_token"
        );
        config.token_version = TokenVersion::V2;
        config.credential = config.credential.beside(CredentialKind::ClientSecret, "s");
        assert_eq!(
            body(&config),
            "scope=https%3A%2F%2Fgraph.windows.net%2F.default%20offline_access&\
             client_id=11111111-2222-3333-4444-555555555555&client_secret=s&refresh_token=0.A%2Bb%2Fc&grant_type=refresh_token"
        );
        config.credential = config.credential.beside(CredentialKind::Certificate, "p-0");
        let body = body(&config);
        assert!(body.contains("jwt-bearer&client_assertion=p-0&refresh_token=") && !body.contains("secret"), "{body}");
    }

    #[test]
    fn debug_of_a_token_request_does_not_show_the_secret() {
        let shown = format!("{:?}", token_request(&config()));
        assert!(!shown.contains("kanarie"), "{shown}");
    }
}
