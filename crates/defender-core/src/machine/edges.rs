//! The rows at both ends of an answer, which a check for a cut asks for again.

use crate::tick::Tick;

/// How many rows of one tick are told from others there. More of them are sorted out by the ring alone.
const MAX_KEYS: usize = 1000;

/// The least and the greatest stamp of an answer's rows, and the keys of the rows that bear them: the ring may have
/// forgotten these by the time that they are asked for again.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    least: Option<Edge>,
    greatest: Option<Edge>,
}

#[derive(Clone, Debug)]
struct Edge {
    at: Tick,
    keys: Vec<u64>,
}

impl Edges {
    /// The least and the greatest stamp; none of an answer without rows.
    pub(super) fn span(&self) -> Option<(Tick, Tick)> {
        Some((self.least.as_ref()?.at, self.greatest.as_ref()?.at))
    }

    /// Takes note of a row.
    pub(super) fn see(&mut self, at: Tick, key: u64) {
        see(&mut self.least, at, key, |at, edge| at < edge);
        see(&mut self.greatest, at, key, |at, edge| at > edge);
    }

    /// Whether a row at one of the ends had this key.
    pub(super) fn contain(&self, key: u64) -> bool {
        [&self.least, &self.greatest].into_iter().flatten().any(|edge| edge.keys.contains(&key))
    }
}

fn see(edge: &mut Option<Edge>, at: Tick, key: u64, is_beyond: impl Fn(Tick, Tick) -> bool) {
    match edge {
        Some(edge) if edge.at == at => {
            if edge.keys.len() < MAX_KEYS {
                edge.keys.push(key);
            }
        }
        Some(edge) if !is_beyond(at, edge.at) => {}
        _ => *edge = Some(Edge { at, keys: vec![key] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_all_rows_at_both_ends_are_kept_and_no_others() {
        let mut edges = Edges::default();
        assert_eq!(edges.span(), None);
        for (at, key) in [(5, 1), (3, 2), (4, 3), (7, 4), (3, 5), (7, 6), (6, 7)] {
            edges.see(Tick(at), key);
        }
        assert_eq!(edges.span(), Some((Tick(3), Tick(7))));
        assert_eq!((1..=7).filter(|key| edges.contain(*key)).collect::<Vec<_>>(), [2, 4, 5, 6]);
    }

    #[test]
    fn no_more_keys_of_one_tick_are_kept_than_their_number_allows() {
        let mut edges = Edges::default();
        (0..=MAX_KEYS as u64).for_each(|key| edges.see(Tick(3), key));
        assert!(edges.contain(MAX_KEYS as u64 - 1) && !edges.contain(MAX_KEYS as u64));
    }
}
