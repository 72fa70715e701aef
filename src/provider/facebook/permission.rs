//! The permissions that an error message names. Graph has no field for them.

/// Words of this shape that are not permissions.
const OTHERS: [&str; 4] = ["_id", "_token", "_type", "_proof"];

/// The most permissions read from a message. No real message names more, and a hostile one is not worth the
/// time.
const MOST: usize = 32;

/// Returns the permissions in a message about permissions: words such as `pages_read_engagement`, each once.
/// Known messages: `requires the 'a_b' permission`, `Requires a_b permission to manage the object`,
/// `Requires extended permission: a_b` and `either a_b permission ..., or both c_d and e_f permission`.
pub(super) fn named_in(message: &str) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    if !message.to_ascii_lowercase().contains("permission") {
        return named;
    }
    let words = message.split_ascii_whitespace().filter(|word| !word.contains("://"));
    let bare = words.map(|word| word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()));
    for word in bare.filter(|word| is_permission(word)).take(MOST) {
        if !named.iter().any(|known| known == word) {
            named.push(word.to_owned());
        }
    }
    named
}

fn is_permission(word: &str) -> bool {
    word.contains('_')
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && !OTHERS.iter().any(|ending| word.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_found_in_the_messages_that_graph_sends() {
        let rows: [(&str, &[&str]); 8] = [
            (
                "(#10) This endpoint requires the 'pages_read_engagement' permission or the 'Page Public Content Access' \
                 feature. Refer to https://developers.facebook.com/docs/apps/review/login-permissions#manage_pages for details.",
                &["pages_read_engagement"],
            ),
            (
                "(#283) Requires pages_read_engagement permission to manage the object",
                &["pages_read_engagement"],
            ),
            ("(#283) Requires extended permission: manage_pages", &["manage_pages"]),
            (
                "(#200) If posting to a group, requires app being installed in the group, and either publish_to_groups \
                 permission with user token, or both pages_read_engagement and pages_manage_posts permission with page \
                 token; If posting to a page, both pages_read_engagement and pages_manage_posts as an admin",
                &["publish_to_groups", "pages_read_engagement", "pages_manage_posts"],
            ),
            ("(#200) Permissions error", &[]),
            ("(#200) The permission of access_token or user_id is missing", &[]),
            ("(#3) Application does not have the capability to make this API call.", &[]),
            ("", &[]),
        ];
        for (message, expected) in rows {
            assert_eq!(named_in(message), expected, "{message}");
        }
    }
}
