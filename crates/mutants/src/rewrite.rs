//! Rewrites a file so that its mutants are chosen at run time.

use std::fmt::Write as _;
use std::ops::Range;

use crate::site::{Form, Site};

/// The module that says which mutant is in force: the one whose number `MUTANT` holds. A test that fails ends the run.
pub(crate) const MODULE: &str = r#"
mod mutant {
    static CHOSEN: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            std::process::exit(101);
        }));
        std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
    });

    pub(crate) fn is(number: u32) -> bool {
        *CHOSEN == number
    }

    pub(crate) fn none_of(numbers: &[u32]) -> bool {
        let chosen = *CHOSEN;
        numbers.iter().all(|number| *number != chosen)
    }
}
"#;

/// What a file became.
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// Where each mutant stands in it, and where each place does, with the numbers of its mutants.
    pub(crate) written: Vec<(Range<usize>, Vec<u32>)>,
}

/// Puts the mutants of these places into a file, the outer places before the inner.
pub(crate) fn rewrite(source: &str, sites: &[Site]) -> Rewritten {
    let mut rewritten = Rewritten { text: String::new(), written: Vec::new() };
    rewritten.part(source, 0..source.len(), sites);
    rewritten
}

impl Rewritten {
    fn part(&mut self, source: &str, range: Range<usize>, sites: &[Site]) {
        let mut at = range.start;
        let mut rest = sites;
        while let [site, others @ ..] = rest {
            self.text.push_str(&source[at..site.range.start]);
            let inner = others.iter().take_while(|other| other.range.start < site.range.end).count();
            let (inner, others) = others.split_at(inner);
            self.site(source, site, inner);
            at = site.range.end;
            rest = others;
        }
        self.text.push_str(&source[at..range.end]);
    }

    fn site(&mut self, source: &str, site: &Site, inner: &[Site]) {
        let numbers: Vec<u32> = site.mutants.iter().map(|mutant| mutant.number).collect();
        let begin = self.text.len();
        match site.form {
            // The original stands first, so that its type is what the others are held against.
            Form::Expression => {
                self.write(format_args!("(if crate::mutant::none_of(&{numbers:?}) {{ ("));
                self.part(source, site.range.clone(), inner);
                self.text.push_str(") }");
                for mutant in &site.mutants {
                    self.write(format_args!(" else if crate::mutant::is({}) {{ ", mutant.number));
                    self.instead(mutant.number, &format!("({})", mutant.instead));
                    self.text.push_str(" }");
                }
                self.text.push_str(" else { unreachable!() })");
            }
            Form::Statement => {
                self.write(format_args!("if crate::mutant::none_of(&{numbers:?}) {{ "));
                self.part(source, site.range.clone(), inner);
                self.text.push_str(" }");
            }
            Form::Body => {
                for mutant in &site.mutants {
                    self.write(format_args!(" if crate::mutant::is({}) {{ ", mutant.number));
                    self.instead(mutant.number, &format!("return {};", mutant.instead));
                    self.text.push_str(" }");
                }
            }
            Form::Pattern => self.write(format_args!(" if crate::mutant::none_of(&{numbers:?})")),
        }
        self.written.push((begin..self.text.len(), numbers));
    }

    fn instead(&mut self, number: u32, text: &str) {
        let begin = self.text.len();
        self.text.push_str(text);
        self.written.push((begin..self.text.len(), vec![number]));
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing into a string does not fail.
        let _ = self.text.write_fmt(what);
    }

    /// The mutants of the narrowest place that holds these bytes; none where no place does.
    pub(crate) fn mutants_at(&self, bytes: &Range<usize>) -> Option<&[u32]> {
        let holding = self.written.iter().filter(|(range, _)| range.start <= bytes.start && bytes.end <= range.end);
        holding.min_by_key(|(range, _)| range.len()).map(|(_, numbers)| numbers.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::find;

    #[test]
    fn each_mutant_is_a_choice_and_is_found_again_where_it_stands() {
        let source = "fn f(a: i8) { if a < b { g(); } }";
        let rewritten = rewrite(source, &find("a.rs", source, 1).unwrap());
        let text = &rewritten.text;
        assert!(text.starts_with("fn f(a: i8) { if crate::mutant::is(1) { return (); } if "), "{text}");
        assert!(text.contains("if crate::mutant::none_of(&[7]) { g(); }"), "{text}");
        for (instead, number) in [("(true)", 2), ("(a <= b)", 4), ("(a > b)", 5)] {
            let at = text.find(instead).unwrap();
            assert_eq!(rewritten.mutants_at(&(at..at + instead.len())), Some(&[number][..]), "{instead}");
        }
        assert_eq!(rewritten.mutants_at(&(0..2)), None, "that is the original");
        syn::parse_file(text).unwrap();
    }
}
