//! A detection as one CSV row, for those who took Microsoft's sample script and its `Export-CSV`.
//!
//! Source: RFC 4180; the columns are the 50 members of a record of 2020, in their order there.

use std::borrow::Cow;

use crate::answer::Scanner;
use crate::json::{Node, quote};

/// The columns. `AdditionalMembers` holds what the service sends beyond the documented ones, as a JSON object.
pub(crate) const HEADER: &str = "AlertTime,ComputerDnsName,AlertTitle,Category,Severity,AlertId,Actor,LinkToWDATP,IocName,\
IocValue,CreatorIocName,CreatorIocValue,Sha1,FileName,FilePath,IpAddress,Url,IoaDefinitionId,UserName,AlertPart,FullId,\
LastProcessedTimeUtc,ThreatCategory,ThreatFamily,ThreatName,RemediationAction,RemediationIsSuccess,Source,Md5,Sha256,\
WasExecutingWhileDetected,UserDomain,LogOnUsers,MachineDomain,MachineName,InternalIPv4List,InternalIPv6List,FileHash,\
DeviceID,MachineGroup,Description,DeviceCreatedMachineTags,CloudCreatedMachineTags,CommandLine,IncidentLinkToWDATP,\
ReportID,LinkToMTP,IncidentLinkToMTP,ExternalId,IocUniqueId,AdditionalMembers";

const ADDITIONAL: &str = "AdditionalMembers";

/// The row of a record, without a line break at its end. What is no object stands whole in the last column.
pub(crate) fn row(record: &[u8]) -> String {
    let record = String::from_utf8_lossy(record);
    let mut whole = String::new();
    let all = members(&record).unwrap_or_else(|| {
        match Node::read(record.as_bytes()) {
            Ok(_) => push_compact(&mut whole, &record),
            Err(_) => quote(&record, &mut whole),
        }
        vec![("record".into(), whole.as_str())]
    });
    let mut row = String::new();
    let mut additional = String::new();
    for (index, column) in HEADER.split(',').enumerate() {
        if index > 0 {
            row.push(',');
        }
        if column != ADDITIONAL
            && let Some((_, value)) = all.iter().rfind(|(name, _)| name == column)
        {
            push_field(&mut row, &shown(value));
        }
    }
    for (name, value) in all.iter().filter(|(name, _)| name == ADDITIONAL || !HEADER.split(',').any(|c| c == name)) {
        additional.push(if additional.is_empty() { '{' } else { ',' });
        quote(name, &mut additional);
        additional.push(':');
        push_compact(&mut additional, value);
    }
    if !additional.is_empty() {
        additional.push('}');
        push_field(&mut row, &additional);
    }
    row
}

/// The members of an object, their values as they are written: so a number keeps every digit.
fn members(record: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut rest = record.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (name, after) = split_value(rest)?;
        let (value, after) = split_value(after.trim_start().strip_prefix(':')?.trim_start())?;
        members.push((unquoted(name)?, value));
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(members)
}

/// The value that a text begins with, and what follows it.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let end = if matches!(text.bytes().next(), Some(b'"' | b'{' | b'[')) {
        Scanner::default().find_end(text.as_bytes())?
    } else {
        text.bytes().position(|b| matches!(b, b',' | b' ' | b'\t' | b'\r' | b'\n')).unwrap_or(text.len())
    };
    text.split_at_checked(end).filter(|(value, _)| !value.is_empty())
}

fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.into());
    }
    match Node::read(text.as_bytes()) {
        Ok(Node::Text(text)) => Some(text.into()),
        _ => None,
    }
}

/// The text of a string, nothing for a null, and JSON for any other value.
fn shown(value: &str) -> Cow<'_, str> {
    if value == "null" {
        return "".into();
    }
    unquoted(value).unwrap_or_else(|| {
        let mut json = String::new();
        push_compact(&mut json, value);
        json.into()
    })
}

/// Appends a JSON value without the white space between its parts.
fn push_compact(out: &mut String, value: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for c in value.chars() {
        if in_string || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            out.push(c);
        }
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
}

fn push_field(row: &mut String, field: &str) {
    if field.bytes().any(|b| matches!(b, b'"' | b',' | b'\r' | b'\n')) || field.starts_with(' ') || field.ends_with(' ')
    {
        row.push('"');
        row.push_str(&field.replace('"', "\"\""));
        row.push('"');
    } else {
        row.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_the_fifty_columns_and_one_for_the_rest() {
        assert_eq!(HEADER.split(',').count(), 51);
        assert_eq!(row(b"{}"), ",".repeat(50));
    }

    #[test]
    fn a_row_quotes_what_must_be_quoted_and_loses_nothing() {
        let record = r#"{"AlertTitle":"a \"b\", c","Severity":null,"AlertPart":0,"RemediationIsSuccess":false,
            "AlertTime":"2020-01-01T00:00:00Z","Later":{"x":[1,"2"]},"Description":"two\r\nlines"}"#;
        let row = row(record.as_bytes());
        assert!(row.starts_with("2020-01-01T00:00:00Z,,\"a \"\"b\"\", c\",,,"), "{row}");
        assert!(row.contains(",0,") && row.contains(",false,") && row.contains("\"two\r\nlines\""), "{row}");
        assert!(row.ends_with(r#","{""Later"":{""x"":[1,""2""]}}""#), "{row}");
    }

    #[test]
    fn what_is_no_object_stands_in_the_last_column() {
        assert!(row(b"[1]").ends_with(r#","{""record"":[1]}""#));
        assert!(row(b"\"text\"").ends_with(r#","{""record"":""text""}""#));
        assert!(row(b" 1.50 ").ends_with(r#","{""record"":1.50}""#));
    }

    #[test]
    fn a_value_is_compact_and_its_digits_and_escapes_are_those_of_the_service() {
        let record = "{\n \"Later\" : [ 1.50 , 1e400, \"a \\\" b\", { } ] ,\r\n \"AlertId\":\t\"\\u00e4\\n\" , \"x\\ty\" : -0 \n}";
        let row = row(record.as_bytes());
        assert!(row.ends_with(",\"{\"\"Later\"\":[1.50,1e400,\"\"a \\\"\" b\"\",{}],\"\"x\\ty\"\":-0}\""), "{row}");
        assert!(row.contains(",\"\u{e4}\n\","), "{row}");
    }

    #[test]
    fn the_last_of_two_equal_members_counts_and_a_stranger_named_like_the_last_column_is_kept() {
        let row = row(br#"{"AlertId":"a","AlertId":"b","AdditionalMembers":null}"#);
        assert!(row.starts_with(",,,,,b,"), "{row}");
        assert!(row.ends_with(r#","{""AdditionalMembers"":null}""#), "{row}");
    }

    #[test]
    fn what_is_no_json_at_all_is_no_panic() {
        for text in ["", "{", "{}}", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":"b}"#, "{,}", "{\u{e9}:1}", "\u{0}"] {
            assert_eq!(row(text.as_bytes()).matches("record").count(), 1, "{text}");
        }
        row(b"{\"a\":\"\xff\xfe\"}");
    }
}
