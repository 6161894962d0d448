//! Secrets in the links of a text.

use percent_encoding::percent_decode_str;

/// A member of the query or the fragment of a link, or of a form that stands alone.
pub(super) struct Member<'t> {
    pub(super) name: String,
    /// Decoded.
    pub(super) value: String,
    /// As it is written.
    pub(super) written: &'t str,
    pub(super) start: usize,
}

/// Everything in a text that looks like a member of a link: `name=value` after `?`, `&`, `#` or `;`, or at the beginning.
pub(super) fn members(text: &str) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let name_start = text[..equals].rfind(|letter: char| !is_of_name(letter)).map_or(0, |at| at + width(text, at));
        let is_member = name_start == 0 || text[..name_start].ends_with(['?', '&', '#', ';']);
        if !is_member || name_start == equals {
            continue;
        }
        let start = equals + 1;
        let length = text[start..].find(ends_value).unwrap_or(text.len() - start);
        let written = &text[start..start + length];
        members.push(Member { name: decoded(&text[name_start..equals]), value: decoded(written), written, start });
    }
    members
}

/// The password of a link such as `https://user:password@host/`, and where it is.
pub(super) fn password(text: &str) -> Option<(usize, &str)> {
    let start = text.find("://")? + 3;
    let authority = &text[start..][..text[start..].find(['/', '?', '#', ' ', '"']).unwrap_or(text.len() - start)];
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    (!password.is_empty()).then_some((start + user.len() + 1, password))
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || "$-_.%[]".contains(letter)
}

fn ends_value(letter: char) -> bool {
    letter.is_whitespace() || "&#;\"'<>\\,)".contains(letter)
}

fn width(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_links_and_of_forms_are_found() {
        let found = |text: &str| -> Vec<(String, String)> {
            members(text).into_iter().map(|member| (member.name, member.value)).collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            found("see <https://a.example/?$skiptoken=x%2By&b=+c#access_token=d>, or e=f"),
            [pair("$skiptoken", "x+y"), pair("b", " c"), pair("access_token", "d")]
        );
        assert_eq!(found("oauth_token=a&b="), [pair("oauth_token", "a"), pair("b", "")]);
        assert_eq!(found("é=1 ü?=2"), [pair("é", "1")]);
    }

    #[test]
    fn the_password_of_a_link_is_found() {
        assert_eq!(password("to https://u:p%40w@host/x"), Some((13, "p%40w")));
        for text in ["https://host/a:b@c", "https://u@host/", "https://u:@host", "a:b@c"] {
            assert_eq!(password(text), None, "{text}");
        }
    }
}
