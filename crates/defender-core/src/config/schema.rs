//! The JSON Schema of the configuration, printed from the tables that the reader obeys.

use super::duration::Iso;
use super::members::{APIS, ENDPOINTS, Kind, MAX_LIMIT, MEMBERS, Member, Need, REQUEST};
use super::{CredentialKind, SCHEMA, SCHEMA_FILE};
use crate::json::{Node, quote};
use crate::protocol::{OData, PROTOCOLS};

const GUID: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
const DOMAIN: &str = "([0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?\\.)+[0-9A-Za-z-]*[A-Za-z][0-9A-Za-z-]*";
const DURATION: &str = "P(?=[0-9T])([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+([.,][0-9]+)?S)?)?";
const TIME: &str =
    "[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?";

fn schema() -> String {
    let mut root = vec![
        ("$schema".to_owned(), Node::text("https://json-schema.org/draft/2020-12/schema")),
        ("title".to_owned(), Node::text("Microsoft Defender for Endpoint source")),
        ("description".to_owned(), Node::text("The configuration of the source: one JSON object.")),
    ];
    root.extend(object(MEMBERS));
    root.push(("$defs".to_owned(), definitions()));
    root.push(("anyOf".to_owned(), Node::List(ways_to_name_the_host())));
    root.push(("oneOf".to_owned(), Node::List(credentials())));
    root.push(("allOf".to_owned(), Node::List(by_api())));
    root.push(("dependentSchemas".to_owned(), without_request()));
    let mut text = String::new();
    Node::Object(root).print(0, &mut text);
    text + "\n"
}

/// What several members share.
fn definitions() -> Node {
    let named = |name: &str, keywords: Vec<(&str, Node)>| {
        (name.to_owned(), Node::Object(keywords.into_iter().map(|(word, value)| (word.to_owned(), value)).collect()))
    };
    let texts = vec![
        ("type", parse(r#"["string", "array"]"#)),
        least(),
        ("items", parse(r#"{"type": "string", "minLength": 1}"#)),
        ("default", Node::List(Vec::new())),
    ];
    Node::Object(vec![named("duration", matching(DURATION)), named("time", matching(TIME)), named("texts", texts)])
}

fn object(table: &[Member]) -> Vec<(String, Node)> {
    let required = table.iter().filter(|member| member.need == Need::Required).map(|member| Node::text(member.name));
    let properties = table.iter().map(|member| (member.name.to_owned(), Node::Object(value(member)))).collect();
    let required: Vec<_> = required.collect();
    let mut list = vec![
        ("type".to_owned(), Node::text("object")),
        ("additionalProperties".to_owned(), Node::Bool(false)),
        ("properties".to_owned(), Node::Object(properties)),
    ];
    if !required.is_empty() {
        list.push(("required".to_owned(), Node::List(required)));
    }
    list
}

fn value(member: &Member) -> Vec<(String, Node)> {
    let mut about = member.about.to_owned();
    let defined = |name: &str| vec![("$ref", Node::text(format!("#/$defs/{name}")))];
    let keywords = match &member.kind {
        Kind::Tenant => matching(&format!("{GUID}|{DOMAIN}")),
        Kind::Guid => matching(GUID),
        Kind::Secret => vec![string(), least(), ("writeOnly", Node::Bool(true))],
        Kind::Choice(words) => {
            vec![string(), ("enum", Node::List(words.iter().map(|word| Node::text(*word)).collect()))]
        }
        Kind::Url => vec![string(), ("format", Node::text("uri")), ("pattern", Node::text("^https?://[^?#@\\s]+$"))],
        Kind::Location => vec![string(), ("pattern", Node::text("^[^?#@\\s]+$"))],
        Kind::Audience => vec![string(), least()],
        Kind::Start => {
            vec![("anyOf", parse(r##"[{"const": "now"}, {"$ref": "#/$defs/duration"}, {"$ref": "#/$defs/time"}]"##))]
        }
        Kind::Duration(bounds) => {
            about += &format!(" From {} to {}.", Iso(bounds.least), Iso(bounds.most));
            defined("duration")
        }
        Kind::Ago => defined("duration"),
        Kind::Time => defined("time"),
        Kind::Limit => vec![
            ("type", Node::text("integer")),
            ("minimum", Node::Whole(1)),
            ("maximum", Node::Whole(u64::from(MAX_LIMIT))),
        ],
        Kind::Texts => defined("texts"),
        Kind::Words => {
            let word = Node::Object(vec![("enum".to_owned(), Node::List(words_of(member.name)))]);
            let list = vec![("type".to_owned(), Node::text("array")), ("items".to_owned(), word.clone())];
            vec![("anyOf", Node::List(vec![word, Node::Object(list)])), ("default", Node::List(Vec::new()))]
        }
        Kind::Object(_) => Vec::new(),
    };
    let mut list = vec![("description".to_owned(), Node::text(about))];
    if let Kind::Object(table) = &member.kind {
        list.extend(object(table));
        if member.name == "request" {
            let times = refusing(["sinceTimeUtc", "untilTimeUtc"].into_iter());
            list.push(("dependentSchemas".to_owned(), Node::Object(vec![("ago".to_owned(), times)])));
        }
    }
    list.extend(keywords.into_iter().map(|(keyword, value)| (keyword.to_owned(), value)));
    if let Some(default) = member.default {
        list.push(("default".to_owned(), Node::text(default)));
    }
    if !matches!(member.kind, Kind::Object(_) | Kind::Choice(_) | Kind::Secret) {
        list.push(("examples".to_owned(), Node::List(vec![example(member)])));
    }
    list
}

/// Every word that some API knows of a filter.
fn words_of(filter: &str) -> Vec<Node> {
    let of = |odata: &OData| match filter {
        "severity" => odata.severity,
        "status" => odata.status,
        _ => odata.service_source,
    };
    let mut words = Vec::new();
    for (word, _) in PROTOCOLS.iter().filter_map(|protocol| protocol.odata.as_ref()).flat_map(of) {
        if !words.contains(word) {
            words.push(*word);
        }
    }
    words.into_iter().map(Node::text).collect()
}

/// What each value of `api` excludes, and the largest page that it knows.
fn by_api() -> Vec<Node> {
    let by_api = |api: &&str| {
        let foreign = MEMBERS.iter().filter(|member| !member.apis.is_empty() && !member.apis.contains(api));
        let mut properties: Vec<_> = foreign.map(|member| (member.name.to_owned(), Node::Bool(false))).collect();
        let pages = PROTOCOLS.iter().filter(|protocol| protocol.name == *api).filter_map(|p| p.odata.as_ref());
        if let Some(most) = pages.map(|odata| odata.page.1).max() {
            let most = Node::Object(vec![("maximum".to_owned(), Node::Whole(u64::from(most)))]);
            properties.push(("limit".to_owned(), most));
            properties.push(("format".to_owned(), parse(r#"{"const": "raw"}"#)));
        }
        Node::Object(vec![
            ("if".to_owned(), parse(&format!(r#"{{"properties": {{"api": {{"const": "{api}"}}}}}}"#))),
            ("then".to_owned(), Node::Object(vec![("properties".to_owned(), Node::Object(properties))])),
        ])
    };
    APIS.iter().map(by_api).collect()
}

/// The example of a member as JSON.
pub(super) fn example(member: &Member) -> Node {
    match member.kind {
        Kind::Limit => Node::Whole(member.example.parse().unwrap()),
        Kind::Object(_) => Node::Object(Vec::new()),
        _ => Node::text(member.example),
    }
}

fn matching(pattern: &str) -> Vec<(&'static str, Node)> {
    vec![string(), ("pattern", Node::text(format!("^({pattern})$")))]
}

fn parse(text: &str) -> Node {
    serde_json::from_str(text).unwrap()
}

fn string() -> (&'static str, Node) {
    ("type", Node::text("string"))
}

fn least() -> (&'static str, Node) {
    ("minLength", Node::Whole(1))
}

impl Node {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Appends it to `out`, indented by two blanks a level.
    pub(super) fn print(&self, depth: usize, out: &mut String) {
        match self {
            Self::Null | Self::OtherNumber => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Whole(value) => out.push_str(&value.to_string()),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.print(depth + 1, out);
                }
                out.push(']');
            }
            Self::Object(members)
                if members.iter().all(|(_, value)| !matches!(value, Self::Object(_) | Self::List(_))) =>
            {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    quote(name, out);
                    out.push_str(": ");
                    value.print(depth + 1, out);
                }
                out.push('}');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "\n" } else { ",\n" });
                    out.push_str(&"  ".repeat(depth + 1));
                    quote(name, out);
                    out.push_str(": ");
                    value.print(depth + 1, out);
                }
                if !members.is_empty() {
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth));
                }
                out.push('}');
            }
        }
    }
}

/// A region, or a host, or a cloud or an API that has one host only.
fn ways_to_name_the_host() -> Vec<Node> {
    vec![
        parse(r#"{"required": ["region"]}"#),
        parse(r#"{"required": ["endpoints"], "properties": {"endpoints": {"required": ["api"]}}}"#),
        parse(r#"{"required": ["cloud"], "properties": {"cloud": {"enum": ["gcc", "gcc-high", "dod"]}}}"#),
        parse(r#"{"properties": {"api": {"enum": ["alerts", "graph", "incidents"]}}}"#),
    ]
}

/// One credential, and no second one; or a refresh token, beside one of the application or alone.
fn credentials() -> Vec<Node> {
    let required = |kind: CredentialKind| ("required".to_owned(), Node::List(vec![Node::text(kind.name())]));
    let excluding = |kinds: &[CredentialKind]| {
        let required = |kind: &CredentialKind| Node::Object(vec![required(*kind)]);
        let any = vec![("anyOf".to_owned(), Node::List(kinds.iter().map(required).collect()))];
        ("not".to_owned(), Node::Object(any))
    };
    let of_application: Vec<_> = CredentialKind::ALL.into_iter().filter(|kind| kind.is_of_application()).collect();
    let alone = Node::Object(vec![required(CredentialKind::AccessToken)]);
    let without = vec![required(CredentialKind::RefreshToken), excluding(&of_application)];
    let of_application = of_application.into_iter().map(|kind| Node::Object(vec![required(kind)]));
    of_application.chain([Node::Object(without), alone]).collect()
}

/// A `request` excludes the members of a running source; in it, `ago` excludes the times.
fn without_request() -> Node {
    let running = MEMBERS.iter().filter(|member| member.need == Need::WithoutRequest).map(|member| member.name);
    Node::Object(vec![("request".to_owned(), refusing(running))])
}

fn refusing(names: impl Iterator<Item = &'static str>) -> Node {
    let properties = names.map(|name| (name.to_owned(), Node::Bool(false))).collect();
    Node::Object(vec![("properties".to_owned(), Node::Object(properties))])
}

#[test]
fn the_schema_file_is_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, schema()).unwrap();
    } else {
        assert!(
            schema() == SCHEMA_FILE,
            "{path} is stale. This writes it anew: UPDATE_SCHEMA=1 cargo test -p defender-core the_schema_file"
        );
    }
}

#[test]
fn the_schema_marks_the_secrets_and_refuses_unknown_members() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema, serde_json::from_str::<serde_json::Value>(SCHEMA_FILE).unwrap());
    for kind in CredentialKind::ALL {
        assert_eq!(schema["properties"][kind.name()]["writeOnly"], true, "{kind:?}");
    }
    let ways = schema["oneOf"].as_array().unwrap();
    assert_eq!(ways.len(), CredentialKind::ALL.len());
    // A refresh token excludes no credential of the application, and is complete without one.
    assert_eq!(ways.iter().filter(|way| way.get("not").is_some()).count(), 1);
    for (place, table) in [("", MEMBERS), ("/properties/endpoints", ENDPOINTS), ("/properties/request", REQUEST)] {
        let object = schema.pointer(place).unwrap();
        assert_eq!(object["additionalProperties"], false, "{place}");
        assert_eq!(object["properties"].as_object().unwrap().len(), table.len(), "{place}");
    }
}
