//! A place in the source, and what may stand there instead.

use std::ops::Range;

/// A place in a file where one or several mutants differ from the original. Two of them lie one in the other, or apart.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The bytes of it.
    pub(crate) range: Range<usize>,
    pub(crate) form: Form,
    /// Whose body it is in.
    pub(crate) function: String,
    pub(crate) mutants: Vec<Mutant>,
}

/// How a place becomes a choice at run time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// An expression, which another one stands for.
    Expression,
    /// A statement, which is left out.
    Statement,
    /// The beginning of a function's body, which returns at once.
    Body,
    /// The end of a pattern, which is made never to match.
    Pattern,
}

/// One small change.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// Its number, from 1 on; no two in a run are the same.
    pub(crate) number: u32,
    /// What stands there instead.
    pub(crate) instead: String,
    /// What it is to a person, and the same in every run: file, function, what it was and what it is.
    pub(crate) name: String,
}
