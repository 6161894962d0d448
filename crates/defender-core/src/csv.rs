//! A detection as one CSV row, for those who took Microsoft's sample script and its `Export-CSV`.
//!
//! Source: RFC 4180; the columns are the 50 members of a record of 2020, in their order there.

use serde_json::{Map, Value};

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
    let mut members = match serde_json::from_slice(record) {
        Ok(Value::Object(members)) => members,
        Ok(other) => Map::from_iter([("record".to_owned(), other)]),
        Err(_) => Map::from_iter([("record".to_owned(), String::from_utf8_lossy(record).into())]),
    };
    let mut row = String::new();
    for (index, column) in HEADER.split(',').enumerate() {
        if index > 0 {
            row.push(',');
        }
        if column != ADDITIONAL {
            push_field(&mut row, &text(members.remove(column)));
        }
    }
    if !members.is_empty() {
        push_field(&mut row, &Value::Object(members).to_string());
    }
    row
}

fn text(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

fn push_field(row: &mut String, field: &str) {
    if field.contains(['"', ',', '\r', '\n']) || field.starts_with(' ') || field.ends_with(' ') {
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
    }
}
