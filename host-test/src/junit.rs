//! JUnit XML, as CI systems read it: a suite for each scenario, a case for each law.

use std::fmt::Write as _;

use crate::conform::{Break, State, Verdict};

/// The verdicts as one document.
pub fn junit(verdicts: &[Verdict]) -> String {
    let count = |of: fn(&State) -> bool| -> usize {
        verdicts.iter().flat_map(|verdict| &verdict.laws).filter(|(_, state)| of(state)).count()
    };
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _infallible = writeln!(
        xml,
        "<testsuites name=\"conform\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
        count(|_| true),
        count(is_broken),
        count(is_not_checked)
    );
    verdicts.iter().for_each(|verdict| suite(verdict, &mut xml));
    xml + "</testsuites>\n"
}

fn is_broken(state: &State) -> bool {
    matches!(state, State::Broken(_))
}

fn is_not_checked(state: &State) -> bool {
    matches!(state, State::NotChecked(_))
}

fn suite(verdict: &Verdict, xml: &mut String) {
    let count = |of: fn(&State) -> bool| verdict.laws.iter().filter(|(_, state)| of(state)).count();
    let name = escaped(&verdict.scenario);
    let _infallible = writeln!(
        xml,
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">",
        verdict.laws.len(),
        count(is_broken),
        count(is_not_checked)
    );
    for (law, state) in &verdict.laws {
        let case = format!("    <testcase classname=\"{name}\" name=\"{}\"", law.id());
        let _infallible = match state {
            State::Kept => writeln!(xml, "{case}/>"),
            State::NotChecked(reason) => {
                writeln!(xml, "{case}>\n      <skipped message=\"{}\"/>\n    </testcase>", escaped(reason))
            }
            State::Broken(breaks) => {
                let text: Vec<String> = breaks.iter().map(Break::to_string).collect();
                writeln!(
                    xml,
                    "{case}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(law.sentence()),
                    escaped(&text.join("\n"))
                )
            }
        };
    }
    xml.push_str("  </testsuite>\n");
}

/// Text for an element or an attribute. What XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            // Written out, an attribute keeps them.
            '\n' => "&#10;".to_owned(),
            '\t' => "&#9;".to_owned(),
            '\r' => "&#13;".to_owned(),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::Law;

    #[test]
    fn whatever_a_source_says_stays_inside_its_element() {
        let found = "expected </failure> & \"]]>\", found \u{0}\u{1b}[31m\nand more".to_owned();
        let broken = State::Broken(vec![Break { place: "poll 1 <of> it".to_owned(), found, hint: "mend it", more: 0 }]);
        let verdict = Verdict {
            scenario: "a\"b<c".to_owned(),
            laws: vec![
                (Law::Keys, broken),
                (Law::Budget, State::Kept),
                (Law::Upgrade, State::NotChecked("no <one> asked".to_owned())),
            ],
            polls: 1,
        };
        let xml = junit(&[verdict]);
        assert!(
            xml.contains("<testsuites name=\"conform\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\">"),
            "{xml}"
        );
        assert!(xml.contains("<testsuite name=\"a&quot;b&lt;c\" tests=\"3\" failures=\"1\""), "{xml}");
        assert!(xml.contains("poll 1 &lt;of&gt; it"), "{xml}");
        assert!(xml.contains("&lt;/failure&gt; &amp; &quot;]]&gt;&quot;, found \u{fffd}\u{fffd}[31m&#10;"), "{xml}");
        assert!(xml.contains("<skipped message=\"no &lt;one&gt; asked\"/>"), "{xml}");
        assert_eq!(xml.matches('<').count(), xml.matches('>').count(), "{xml}");
    }
}
