use std::path::Path;

use super::*;
use crate::settings::Settings;

/// Every member that there is.
const ALL: &str = r#"{
  "interactions": [
    {
      "why": "a form",
      "request": {
        "method": "POST",
        "url": "https://login.example/token",
        "headers": {
          "content-type": "application/x-www-form-urlencoded",
          "x-absent": null
        },
        "form": {
          "scope": [
            "a",
            {
              "pattern": "b*"
            }
          ],
          "empty": ""
        }
      },
      "response": {
        "status": 200,
        "headers": {
          "set-cookie": [
            "a=redacted-cookie-1",
            "b=redacted-cookie-2"
          ]
        },
        "json": {"b" : 1.50,"a":"\u00e9", "b": [ ]},
        "latency": "PT0.12S",
        "chunks": [
          1,
          2
        ],
        "pause": "PT2S"
      }
    },
    {
      "any-order": [
        {
          "why": "a query",
          "request": {
            "method": "GET",
            "url": "https://api.example/a%20b",
            "query": {
              "since": {
                "pattern": "2026-*"
              }
            }
          },
          "response": {
            "status": 200,
            "text": " text\n",
            "cut": 2
          },
          "times": "any"
        },
        {
          "why": "JSON",
          "request": {
            "method": "PUT",
            "url": "https://api.example/",
            "json": {
              "a": [
                "x",
                1
              ]
            },
            "patterns": {
              "/a/0": "*"
            }
          },
          "response": {
            "status": 500,
            "base64": "/wA=",
            "chunks": 1,
            "stall": 1
          },
          "times": 3
        }
      ]
    },
    {
      "why": "a text",
      "request": {
        "method": "POST",
        "url": "https://api.example/",
        "text": "hello"
      },
      "fail": "dns"
    },
    {
      "why": "bytes",
      "request": {
        "method": "POST",
        "url": "https://api.example/",
        "base64": "/w=="
      },
      "fail": {
        "kind": "timeout",
        "latency": "PT2M"
      }
    }
  ]
}
"#;

fn text(traffic: &Traffic) -> String {
    let [(name, text)] = &traffic.written()[..] else { panic!("more than one file") };
    assert_eq!(name, "traffic.json");
    String::from_utf8(text.clone()).unwrap()
}

#[test]
fn traffic_is_written_as_it_is_read() {
    let traffic = Traffic::parse(Path::new("traffic.json"), ALL).unwrap();
    assert_eq!(text(&traffic), ALL);
}

#[test]
fn a_body_is_written_in_the_form_that_keeps_its_bytes() {
    let traffic = |body: &[u8]| {
        let mut traffic = Traffic::parse(Path::new("traffic.json"), ALL).unwrap();
        traffic.groups.truncate(1);
        let interaction = std::sync::Arc::make_mut(&mut traffic.groups[0].interactions[0]);
        let Answer::Response(response) = &mut interaction.answer else { panic!("no response") };
        response.body = body.to_vec();
        traffic
    };
    for (body, form) in [
        (&b"[1 ,2]"[..], "\"json\": [1 ,2]"),
        (b"[1 ,2]\n", r#""text": "[1 ,2]\n""#),
        (b"\xef\xbb\xbf{}", "\"base64\": \"77u/e30=\""),
        (b"\0", "\"base64\": \"AA==\""),
        (b"<html>", "\"text\": \"<html>\""),
    ] {
        let written = text(&traffic(body));
        assert!(written.contains(form), "{written}");
        let read = Traffic::parse(Path::new("traffic.json"), &written).unwrap();
        let Answer::Response(response) = &read.groups[0].interactions[0].answer else { panic!("no response") };
        assert_eq!(response.body, body);
    }
    let large = traffic(&[b'7'; LARGEST_INLINE + 1]).written();
    assert_eq!(large.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["traffic.json", "body-1.json"]);
    assert!(String::from_utf8_lossy(&large[0].1).contains("\"file\": \"body-1.json\""));
}

#[test]
fn settings_are_written_as_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        for (name, text) in [("scenario.json", text), ("config.json", "{}"), ("traffic.json", "{\"interactions\": []}")]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        crate::Scenario::load(folder.path()).unwrap().settings
    };
    for rest in [
        r#""until": "ended""#,
        r#""polls": 3, "position": {"resume": {"b": 1, "a":  2}}"#,
        r#""position": {"resume": "text"}, "budget": {"max-events": 5, "max-duration": "PT1S"}"#,
        r#""position": {"range": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00.5Z"}}"#,
        r#""faults": {"chunks": 1, "fresh-instance-after": "every-poll"}"#,
        r#""faults": {"chunks": [1, 2], "fresh-instance-after": [2], "clock-jumps": [{"after-poll": 1, "by": "-PT1H"}]}"#,
        r#""faults": {"traps": [{"in-poll": 2, "at-request": 3}, {"in-poll": 1}]}"#,
    ] {
        let settings: Settings =
            read(&format!(r#"{{"why": "w", "from": "f", "starts": "2026-03-02T09:00:00.123Z", {rest}}}"#));
        assert_eq!(read(&settings.text()), settings, "{}", settings.text());
    }
}
