//! The JSON Schema of the configuration, printed from the tables that the reader obeys.

use super::duration::Iso;
use super::members::{APIS, ENDPOINTS, Kind, MAX_LIMIT, MEMBERS, Member, Need, REQUEST};
use super::{Cloud, CredentialKind, Region, SCHEMA, SCHEMA_FILE};
use crate::json::{Node, quote};
use crate::protocol::{OData, PROTOCOLS, Protocol};

const GUID: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
const LABEL: &str = "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?";
/// Whole numbers and seconds with seven digits that count.
const DURATION: &str = "P(?=[0-9T])([0-9]+W)?([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+([.,][0-9]{1,7}0*)?S)?)?";
const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
const CLOCK: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?";
const ZONE: &str = "[Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]";
/// Neither empty, nor blank, nor with a control character.
const TEXT: &str = "[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*";
/// The same without a blank at either end.
const TRIMMED: &str = "[^\\s\\x00-\\x1f\\x7f-\\x9f]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f])?";
const BASE64URL: &str = "[0-9A-Za-z_-]+";
const GRAPHIC: &str = "[!-~]+";
/// One character of a path but the slash.
const OF_PATH: &str = "([0-9A-Za-z._~!$&'()*+,;=:@\\[\\]-]|%[0-9A-Fa-f]{2})";

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
    let text = ("pattern", Node::text(whole(TEXT)));
    let items = Node::Object([string(), text.clone()].map(|(word, value)| (word.to_owned(), value)).to_vec());
    let texts =
        vec![("type", parse(r#"["string", "array"]"#)), text, ("items", items), ("default", Node::List(Vec::new()))];
    let time = format!(" *{DATE}([Tt ]{CLOCK}({ZONE})?)? *");
    Node::Object(vec![named("duration", matching(DURATION)), named("time", matching(&time)), named("texts", texts)])
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
        Kind::Tenant => [matching(&format!("{GUID}|{}", domain())), vec![("maxLength", Node::Whole(253))]].concat(),
        Kind::Guid => matching(GUID),
        Kind::Secret => [matching(&secret(member.name)), vec![("writeOnly", Node::Bool(true))]].concat(),
        Kind::Choice(words) => {
            vec![string(), ("enum", Node::List(words.iter().map(|word| Node::text(*word)).collect()))]
        }
        Kind::Url => [vec![("format", Node::text("uri"))], matching(&url())].concat(),
        Kind::Location => matching(&location()),
        Kind::Audience => {
            matching(&format!("(?!.*/\\.default$)[^\\s\\x00-\\x1f\\x7f-\\x9f]*://[^\\s\\x00-\\x1f\\x7f-\\x9f]*|{GUID}"))
        }
        Kind::Start => {
            let ago = r##"{"$ref": "#/$defs/duration", "pattern": "[1-9]"}"##;
            vec![("anyOf", parse(&format!(r##"[{{"const": "now"}}, {ago}, {{"$ref": "#/$defs/time"}}]"##)))]
        }
        Kind::Duration(bounds) => {
            about += &format!(" From {} to {}.", Iso(bounds.least), Iso(bounds.most));
            defined("duration")
        }
        Kind::Ago => [defined("duration"), vec![("pattern", Node::text("[1-9]"))]].concat(),
        Kind::Time => defined("time"),
        Kind::Limit => vec![
            ("type", Node::text("integer")),
            ("minimum", Node::Whole(1)),
            ("maximum", Node::Whole(u64::from(MAX_LIMIT))),
        ],
        Kind::Texts => defined("texts"),
        Kind::Words => {
            let all = PROTOCOLS.iter().filter_map(|protocol| protocol.odata.as_ref());
            vec![("anyOf", one_or_several(&words_of(member.name, all))), ("default", Node::List(Vec::new()))]
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

/// Every word that one of these knows of a filter.
fn words_of(filter: &str, of: impl Iterator<Item = &'static OData>) -> Vec<&'static str> {
    let words = |odata: &'static OData| match filter {
        "severity" => odata.severity,
        "status" => odata.status,
        _ => odata.service_source,
    };
    let mut all = Vec::new();
    for (word, _) in of.flat_map(words) {
        if !all.contains(word) {
            all.push(*word);
        }
    }
    all
}

/// One of these words, or a list of them.
fn one_or_several(words: &[&'static str]) -> Node {
    let word = Node::Object(vec![("enum".to_owned(), Node::List(words.iter().copied().map(Node::text).collect()))]);
    let list = vec![("type".to_owned(), Node::text("array")), ("items".to_owned(), word.clone())];
    Node::List(vec![word, Node::Object(list)])
}

/// What each value of `api` excludes, the regions and the words that it knows, and its largest page.
fn by_api() -> Vec<Node> {
    APIS.iter().map(|api| if_api(api, then_of(api))).collect()
}

fn if_api(api: &str, then: Vec<(String, Node)>) -> Node {
    Node::Object(vec![
        ("if".to_owned(), parse(&format!(r#"{{"properties": {{"api": {{"const": "{api}"}}}}}}"#))),
        ("then".to_owned(), Node::Object(then)),
    ])
}

fn then_of(api: &'static str) -> Vec<(String, Node)> {
    let is_of_api = |member: &&Member| member.apis.is_empty() || member.apis.contains(&api);
    let foreign = MEMBERS.iter().filter(|member| !is_of_api(member));
    let mut properties: Vec<_> = foreign.map(|member| (member.name.to_owned(), Node::Bool(false))).collect();
    let protocols: Vec<_> = PROTOCOLS.into_iter().filter(|protocol| protocol.name == api).collect();
    let odata = || protocols.iter().filter_map(|protocol| protocol.odata.as_ref());
    let all = || PROTOCOLS.iter().filter_map(|protocol| protocol.odata.as_ref());
    for member in MEMBERS.iter().filter(|member| matches!(member.kind, Kind::Words)).filter(is_of_api) {
        let words = words_of(member.name, odata());
        if words.len() < words_of(member.name, all()).len() {
            let known = Node::Object(vec![("anyOf".to_owned(), one_or_several(&words))]);
            properties.push((member.name.to_owned(), known));
        }
    }
    let at_most = |most: u32| Node::Object(vec![("maximum".to_owned(), Node::Whole(u64::from(most)))]);
    let pages: Vec<_> = odata().map(|odata| odata.page.1).collect();
    if let Some(most) = pages.iter().max() {
        properties.push(("limit".to_owned(), at_most(*most)));
        properties.push(("format".to_owned(), parse(r#"{"const": "raw"}"#)));
    }
    let mut then = vec![("properties".to_owned(), Node::Object(properties))];
    // Which of two protocols it is follows from the endpoint; without one it is the first.
    if let [first, _] = pages[..] {
        let limit = vec![("limit".to_owned(), at_most(first))];
        let without = Node::Object(vec![("properties".to_owned(), Node::Object(limit))]);
        then.push(("anyOf".to_owned(), Node::List(vec![host_is_named(), without])));
    }
    let has_regions = protocols.iter().any(|protocol| protocol.hosts.iter().any(|host| host.region.is_some()));
    if let [protocol] = protocols[..]
        && has_regions
    {
        then.push(("allOf".to_owned(), Node::List(regions(protocol))));
    }
    then
}

/// The regions that an API has in each cloud, of which the commercial one need not be written.
fn regions(protocol: &Protocol) -> Vec<Node> {
    let mut clouds: Vec<(Vec<&str>, Vec<Cloud>)> = Vec::new();
    for cloud in Cloud::ALL.iter().copied() {
        let served = Region::ALL.iter().copied().filter(|region| protocol.host(cloud, Some(*region)).is_some());
        let served = served.map(Region::name).collect();
        match clouds.iter_mut().find(|(known, _)| *known == served) {
            Some((_, alike)) => alike.push(cloud),
            None => clouds.push((served, vec![cloud])),
        }
    }
    let one_of = |words: Vec<&str>| vec![("enum".to_owned(), Node::List(words.into_iter().map(Node::text).collect()))];
    let rule = |(served, clouds): (Vec<&str>, Vec<Cloud>)| {
        let names = one_of(clouds.iter().map(|cloud| cloud.name()).collect());
        let cloud = vec![("cloud".to_owned(), Node::Object(names))];
        let mut here = vec![("properties".to_owned(), Node::Object(cloud))];
        if !clouds.contains(&Cloud::default()) {
            here.push(("required".to_owned(), parse(r#"["cloud"]"#)));
        }
        let known = if served.is_empty() { Node::Bool(false) } else { Node::Object(one_of(served)) };
        let then = vec![("properties".to_owned(), Node::Object(vec![("region".to_owned(), known)]))];
        Node::Object(vec![("if".to_owned(), Node::Object(here)), ("then".to_owned(), Node::Object(then))])
    };
    clouds.into_iter().map(rule).collect()
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
    vec![string(), ("pattern", Node::text(whole(pattern)))]
}

fn whole(pattern: &str) -> String {
    format!("^({pattern})$")
}

/// What a credential may hold.
fn secret(name: &str) -> String {
    match CredentialKind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(CredentialKind::Certificate) => BASE64URL.to_owned(),
        Some(CredentialKind::FederatedToken | CredentialKind::ClientAssertion) => {
            format!("{BASE64URL}(\\.{BASE64URL}\\.{BASE64URL})?")
        }
        Some(CredentialKind::RefreshToken | CredentialKind::AccessToken) => GRAPHIC.to_owned(),
        Some(CredentialKind::ClientSecret) | None => TRIMMED.to_owned(),
    }
}

/// Several labels, the last of which is no number.
fn domain() -> String {
    format!("({LABEL}\\.)+(?![0-9]+$){LABEL}")
}

/// `https://` to any host, or `http://` to a loopback address, without a path.
fn origins() -> (String, String) {
    let any_case = |text: &str| -> String {
        let pair = |c: char| format!("[{}{c}]", c.to_ascii_uppercase());
        text.chars().map(|c| if c.is_ascii_lowercase() { pair(c) } else { c.to_string() }).collect()
    };
    let host = format!("({LABEL}(\\.{LABEL})*|\\[[0-9A-Fa-f:]+\\])\\.?(:[0-9]+)?");
    let loopback = format!("({}|127(\\.[0-9]+){{3}}|\\[::1\\])\\.?(:[0-9]+)?", any_case("localhost"));
    (format!("{}://{host}|{}://{loopback}", any_case("https"), any_case("http")), host)
}

/// A URL with a path that has more than slashes.
fn url() -> String {
    let (origins, _) = origins();
    format!("(?!.*/\\.\\.?(/|$))({origins})/+{OF_PATH}(/|{OF_PATH})*")
}

/// A host, an origin or a URL.
fn location() -> String {
    let (origins, host) = origins();
    format!("(?!.*/\\.\\.?(/|$))({origins}|(?!.*://){host})(/(/|{OF_PATH})*)?")
}

fn parse(text: &str) -> Node {
    serde_json::from_str(text).unwrap()
}

fn string() -> (&'static str, Node) {
    ("type", Node::text("string"))
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
        host_is_named(),
        parse(r#"{"required": ["cloud"], "properties": {"cloud": {"enum": ["gcc", "gcc-high", "dod"]}}}"#),
        parse(r#"{"properties": {"api": {"enum": ["alerts", "graph", "incidents"]}}}"#),
    ]
}

fn host_is_named() -> Node {
    parse(r#"{"required": ["endpoints"], "properties": {"endpoints": {"required": ["api"]}}}"#)
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
