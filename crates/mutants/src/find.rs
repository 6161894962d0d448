//! Finds the places of a file.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Pat, Stmt};

use crate::site::{Form, Mutant, Site};
use crate::values;

/// The places of a file, the outer before the inner, with mutants that are numbered from `first` on.
pub(crate) fn find(path: &str, source: &str, first: u32) -> Result<Vec<Site>> {
    let file = syn::parse_file(source).with_context(|| format!("{path} is no Rust"))?;
    let mut finder = Finder { source, owner: Vec::new(), sites: Vec::new() };
    finder.visit_file(&file);
    let mut sites = finder.sites;
    // An insertion at the same place stands before what follows it.
    sites.sort_by_key(|site| (site.range.start, !site.range.is_empty(), std::cmp::Reverse(site.range.end)));
    let mut number = first;
    let mut seen = HashMap::<String, usize>::new();
    for site in &mut sites {
        for mutant in &mut site.mutants {
            mutant.number = number;
            mutant.name = format!("{path}: {}: {}", site.function, mutant.name);
            let count = seen.entry(mutant.name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                mutant.name += &format!(" (the {count}. of these)");
            }
            number += 1;
        }
    }
    Ok(sites)
}

struct Finder<'a> {
    source: &'a str,
    /// The types and functions about the present place.
    owner: Vec<String>,
    sites: Vec<Site>,
}

impl Finder<'_> {
    fn text(&self, range: Range<usize>) -> &str {
        self.source.get(range).unwrap_or_default()
    }

    fn text_of(&self, node: &impl Spanned) -> &str {
        self.text(node.span().byte_range())
    }

    fn add(&mut self, range: Range<usize>, form: Form, what: &str, instead: impl IntoIterator<Item = String>) {
        let what = on_one_line(what);
        let mutant =
            |instead: String| Mutant { number: 0, name: format!("`{what}` as `{}`", on_one_line(&instead)), instead };
        let mutants: Vec<_> = instead.into_iter().map(mutant).collect();
        if !mutants.is_empty() {
            self.sites.push(Site { range, form, function: self.owner.join("::"), mutants });
        }
    }

    fn replace(&mut self, node: &impl Spanned, instead: impl IntoIterator<Item = String>) {
        let what = self.text_of(node).to_owned();
        self.add(node.span().byte_range(), Form::Expression, &what, instead);
    }

    /// A condition that holds always, or never.
    fn condition(&mut self, condition: &Expr, values: &[bool]) {
        if !matches!(condition, Expr::Let(_) | Expr::Lit(_)) && !holds_let(condition) {
            self.replace(condition, values.iter().map(bool::to_string));
        }
    }

    fn function(
        &mut self,
        attributes: &[Attribute],
        signature: &syn::Signature,
        block: &syn::Block,
        walk: impl FnOnce(&mut Self),
    ) {
        // What is evaluated by the compiler cannot choose at run time.
        if is_of_tests(attributes) || signature.constness.is_some() {
            return;
        }
        self.owner.push(signature.ident.to_string());
        let begin = block.brace_token.span.open().byte_range().end;
        if !block.stmts.is_empty() {
            self.add(begin..begin, Form::Body, "the body", values::of_return(&signature.output));
        }
        walk(self);
        self.owner.pop();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_of_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_trait = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
        // What it prints is for a person who looks for a mistake.
        if is_of_tests(&item.attrs) || of_trait.is_some_and(|segment| segment.ident == "Debug") {
            return;
        }
        self.owner.push(self.text_of(&item.self_ty).to_owned());
        visit::visit_item_impl(self, item);
        self.owner.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block, |this| visit::visit_item_fn(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block, |this| visit::visit_impl_item_fn(this, item));
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_path_arguments(&mut self, _: &'ast syn::PathArguments) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        if let Pat::Guard(guarded) = pattern {
            self.condition(&guarded.guard, &[true, false]);
            self.visit_expr(&guarded.guard);
        }
    }

    fn visit_expr_match(&mut self, choice: &'ast syn::ExprMatch) {
        let has_rest = choice.arms.last().is_some_and(|arm| matches_all(&arm.pat));
        for arm in choice.arms.iter().rev().skip(1).filter(|arm| has_rest && !matches!(arm.pat, Pat::Guard(_))) {
            let end = arm.pat.span().byte_range().end;
            let what = format!("{} =>", self.text_of(&arm.pat));
            self.add(end..end, Form::Pattern, &what, ["no arm".to_owned()]);
        }
        visit::visit_expr_match(self, choice);
    }

    fn visit_expr_if(&mut self, choice: &'ast syn::ExprIf) {
        self.condition(&choice.cond, &[true, false]);
        visit::visit_expr_if(self, choice);
    }

    fn visit_expr_while(&mut self, while_: &'ast syn::ExprWhile) {
        self.condition(&while_.cond, &[false]);
        visit::visit_expr_while(self, while_);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let operator = self.text_of(&binary.op).to_owned();
        if let Some(operand) = match operator.as_str() {
            "&&" => Some(true),
            "||" => Some(false),
            _ => None,
        } {
            self.condition(&binary.left, &[operand]);
            self.condition(&binary.right, &[operand]);
        }
        if !holds_let(&binary.left) && !holds_let(&binary.right) {
            let (left, right) = (self.text_of(&binary.left), self.text_of(&binary.right));
            let others: Vec<_> = others(&operator).iter().map(|other| format!("{left} {other} {right}")).collect();
            self.replace(binary, others);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if !matches!(unary.op, syn::UnOp::Deref(_)) {
            let bare = self.text_of(&unary.expr).to_owned();
            self.replace(unary, [bare]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_assign(&mut self, assignment: &'ast syn::ExprAssign) {
        self.replace(assignment, ["()".to_owned()]);
        visit::visit_expr_assign(self, assignment);
    }

    /// A member that is what it would be if it were not named.
    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        if let Some(rest) = &made.rest {
            let rest = self.text_of(rest).to_owned();
            for field in made.fields.iter().filter(|field| field.colon_token.is_some()) {
                self.replace(&field.expr, [format!("({rest}).{}", self.text_of(&field.member))]);
            }
        }
        visit::visit_expr_struct(self, made);
    }

    fn visit_expr_lit(&mut self, literal: &'ast syn::ExprLit) {
        if let syn::Lit::Int(number) = &literal.lit
            && let Ok(value) = number.base10_parse::<u64>()
        {
            let near = [value.checked_add(1), value.checked_sub(1)].into_iter().flatten();
            self.replace(literal, near.map(|near| format!("{near}{}", number.suffix())));
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let is_left_out = match statement {
            Stmt::Expr(Expr::MethodCall(_) | Expr::Call(_), Some(_)) => true,
            Stmt::Expr(Expr::Binary(binary), Some(_)) => self.text_of(&binary.op).len() > 1,
            _ => false,
        };
        if is_left_out {
            let what = self.text_of(statement).to_owned();
            self.add(statement.span().byte_range(), Form::Statement, &what, ["nothing".to_owned()]);
        }
        visit::visit_stmt(self, statement);
    }
}

/// The operators that are put in the place of one. A bound that is open in place of closed is always among them.
fn others(operator: &str) -> &'static [&'static str] {
    match operator {
        "==" => &["!="],
        "!=" => &["=="],
        "<" => &["<=", ">", "=="],
        "<=" => &["<", ">"],
        ">" => &[">=", "<", "=="],
        ">=" => &[">", "<"],
        "&&" => &["||"],
        "||" => &["&&"],
        "+" => &["-", "*"],
        "-" => &["+", "/"],
        "*" => &["+", "/"],
        "/" => &["*", "%"],
        "%" => &["/", "+"],
        "<<" => &[">>"],
        ">>" => &["<<"],
        "&" => &["|", "^"],
        "|" => &["&", "^"],
        "^" => &["&", "|"],
        "+=" => &["-=", "*="],
        "-=" => &["+=", "/="],
        "*=" => &["+=", "/="],
        "/=" => &["*=", "%="],
        "%=" => &["/=", "+="],
        "|=" => &["&=", "^="],
        "&=" => &["|=", "^="],
        _ => &[],
    }
}

/// Whether a condition binds names, and so can be no operand of anything else.
fn holds_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => holds_let(&binary.left) || holds_let(&binary.right),
        _ => false,
    }
}

/// Whether a pattern matches whatever comes.
fn matches_all(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => true,
        Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        Pat::Tuple(tuple) => tuple.elems.iter().all(matches_all),
        _ => false,
    }
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in place of what in a function.
    fn found(source: &str) -> Vec<String> {
        let sites = find("a.rs", source, 1).unwrap();
        sites.iter().flat_map(|site| &site.mutants).map(|mutant| mutant.name.clone()).collect()
    }

    #[test]
    fn a_bound_becomes_open_an_operand_true_and_a_function_returns_at_once() {
        assert_eq!(
            found("fn f(a: i8, b: bool) -> bool { a <= 7 && b }"),
            [
                "a.rs: f: `the body` as `true`",
                "a.rs: f: `the body` as `false`",
                "a.rs: f: `a <= 7 && b` as `a <= 7 || b`",
                "a.rs: f: `a <= 7` as `true`",
                "a.rs: f: `a <= 7` as `a < 7`",
                "a.rs: f: `a <= 7` as `a > 7`",
                "a.rs: f: `7` as `8`",
                "a.rs: f: `7` as `6`",
                "a.rs: f: `b` as `true`",
            ]
        );
    }

    #[test]
    fn statements_arms_and_assignments_are_left_out() {
        assert_eq!(
            found("impl A { fn f(&mut self) { match self.n { B => self.x = y, _ => {} } self.g(); } }")[1..],
            [
                "a.rs: A::f: `B =>` as `no arm`",
                "a.rs: A::f: `self.x = y` as `()`",
                "a.rs: A::f: `self.g();` as `nothing`",
            ]
        );
    }

    #[test]
    fn neither_tests_nor_what_the_compiler_evaluates_nor_a_binding_is_changed() {
        for source in [
            "#[cfg(test)] mod tests { fn f() { g(); } }",
            "const A: u8 = 1 + 2; const fn f() -> u8 { 3 }",
            "fn f(x: X) -> X { if let Y(z) = x { z } else { x } }",
            "impl Debug for A { fn fmt(&self) -> u8 { 3 } }",
        ] {
            assert!(found(source).iter().all(|name| name.contains("the body")), "{source}: {:?}", found(source));
        }
    }
}
