//! The known name that somebody probably meant.

/// The one of `known` that is nearest to `word`, where any is near enough to be what was meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near_enough = (word.chars().count() / 2).max(2);
    known
        .into_iter()
        .map(|name| (strsim::levenshtein(&word.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_name_that_was_meant_and_nonsense_finds_none() {
        let known = ["method", "url", "headers"];
        assert_eq!(nearest("methd", known), Some("method"));
        assert_eq!(nearest("Header", known), Some("headers"));
        assert_eq!(nearest("completely-different", known), None);
    }
}
