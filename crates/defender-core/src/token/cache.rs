//! How long a token is used.

use crate::secret::Secret;
use crate::tick::Now;

/// How long before its end a token is no longer used, in nanoseconds: five minutes, which covers the time that a request
/// takes to arrive. A short-lived token is used at least that long, see [`Token::usable_for`].
pub const REFRESH_MARGIN: u64 = 5 * 60 * 1_000_000_000;

/// A bearer token and how long it lives. Its `Debug` does not show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    bearer: Secret,
    /// On the monotonic clock, in nanoseconds.
    arrived: u64,
    /// Nanoseconds.
    lifetime: u64,
}

impl Token {
    /// A token that arrived now and lives that many nanoseconds.
    pub fn new(bearer: Secret, now: Now, lifetime: u64) -> Self {
        Self { bearer, arrived: now.monotonic, lifetime }
    }

    /// What goes behind `Bearer`.
    pub fn bearer(&self) -> &Secret {
        &self.bearer
    }

    /// How long after its arrival the token is used, in nanoseconds: until [`REFRESH_MARGIN`] before its end, but never
    /// shorter than the margin, unless its whole life is.
    ///
    /// So a life of 299 s is used for 299 s, one of 301 s or of 600 s for 300 s, one of 3599 s for 3299 s: it never falls
    /// as the life grows, and no lifetime makes the source ask for tokens without end.
    pub fn usable_for(&self) -> u64 {
        self.lifetime.saturating_sub(REFRESH_MARGIN).max(REFRESH_MARGIN).min(self.lifetime)
    }
}

/// The token that an instance holds. It forgets it when the instance goes: a fresh instance asks for a new one.
///
/// Runs on the monotonic clock alone, so that a jump of the wall clock neither ends a token early nor keeps a dead one.
#[derive(Clone, Debug, Default)]
pub struct TokenCache {
    token: Option<Token>,
}

impl TokenCache {
    /// Holds none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds this one in place of any other.
    pub fn store(&mut self, token: Token) {
        self.token = Some(token);
    }

    /// The token, if it may still be used.
    pub fn bearer(&self, now: Now) -> Option<&Secret> {
        let token = self.token.as_ref()?;
        let age = now.monotonic.saturating_sub(token.arrived);
        (age < token.usable_for()).then(|| token.bearer())
    }

    /// The token, whether it may still be used or not: it must not be shown either way.
    pub fn last(&self) -> Option<&Secret> {
        self.token.as_ref().map(Token::bearer)
    }

    /// Forgets the token: the service refused it.
    pub fn clear(&mut self) {
        self.token = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_config::at;

    const SECOND: u64 = 1_000_000_000;

    fn cache_with(lifetime_seconds: u64) -> TokenCache {
        let mut cache = TokenCache::new();
        cache.store(Token::new(Secret::new("tok"), at(1000), lifetime_seconds * SECOND));
        cache
    }

    #[test]
    fn a_token_is_used_until_five_minutes_before_its_end_and_a_short_one_to_its_end() {
        for (lifetime, usable) in [
            (1, 1),
            (299, 299),
            (300, 300),
            (301, 300),
            (450, 300),
            (600, 300),
            (601, 301),
            (3599, 3299),
            (86_399, 86_099),
        ] {
            let cache = cache_with(lifetime);
            assert!(cache.bearer(at(1000)).is_some(), "{lifetime}");
            assert!(cache.bearer(at(1000 + usable - 1)).is_some(), "{lifetime}");
            assert!(cache.bearer(at(1000 + usable)).is_none(), "{lifetime}");
        }
    }

    #[test]
    fn a_longer_life_is_never_used_for_a_shorter_time() {
        let usable = |seconds: u64| Token::new(Secret::new("tok"), at(0), seconds * SECOND).usable_for();
        for seconds in 0..2000 {
            let (this, next) = (usable(seconds), usable(seconds + 1));
            assert!(this <= next && next - this <= SECOND, "{seconds}");
        }
    }

    #[test]
    fn a_jump_of_the_wall_clock_changes_nothing() {
        let cache = cache_with(3599);
        for jump in [-400 * 86_400_i64, 400 * 86_400] {
            let mut now = at(1001);
            now.wall = now.wall.plus(jump * crate::tick::TICKS_PER_SECOND);
            assert!(cache.bearer(now).is_some());
            let mut late = at(1000 + 3599);
            late.wall = late.wall.plus(jump * crate::tick::TICKS_PER_SECOND);
            assert!(cache.bearer(late).is_none());
        }
    }

    #[test]
    fn a_cleared_cache_holds_none() {
        let mut cache = cache_with(3599);
        cache.clear();
        assert_eq!(cache.bearer(at(1000)), None);
        assert_eq!(TokenCache::new().bearer(at(0)), None);
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let mut cache = TokenCache::new();
        cache.store(Token::new(Secret::new("kanarie"), at(0), SECOND));
        assert!(!format!("{cache:?}").contains("kanarie"));
    }
}
