//! Page tokens: where the next page begins, bound to the user.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{field::InvalidField, identity::UserId};

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 200;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) start: usize,
    pub(super) size: usize,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request.
    ///
    /// # Errors
    /// When the size is negative, or the token is not one that [`Self::next`] made for this user.
    pub(super) fn parse(user: &UserId, size: i32, token: &str) -> Result<Self, InvalidField> {
        let size = usize::try_from(size)
            .map_err(|_| InvalidField::new("page_size", "is negative; leave it at 0 for 50"))?;
        let size = if size == 0 { DEFAULT_SIZE } else { size.min(LARGEST_SIZE) };
        let foreign = "is not from an earlier answer for this user; leave it empty for the first page";
        let start = if token.is_empty() { Some(0) } else { decode(user, token) };
        start.map(|start| Self { start, size }).ok_or_else(|| InvalidField::new("page_token", foreign))
    }

    /// The token of the page after this one in a list of `length`; empty if there is none.
    pub(super) fn next(self, user: &UserId, length: usize) -> String {
        match u32::try_from(self.start + self.size) {
            Ok(next) if (self.start + self.size) < length => encode(user, next),
            _ => String::new(),
        }
    }
}

fn encode(user: &UserId, start: u32) -> String {
    let mut bytes = start.to_be_bytes().to_vec();
    bytes.extend_from_slice(&check(user, start));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(user: &UserId, token: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (start, rest) = bytes.split_first_chunk()?;
    let start = u32::from_be_bytes(*start);
    (rest == check(user, start)).then_some(start as usize)
}

/// Ties a token to its user. A mistake is what it guards against: a page of one's own list is no secret.
fn check(user: &UserId, start: u32) -> [u8; 8] {
    let hash = digest(&SHA256, format!("{start}:{user}").as_bytes());
    std::array::from_fn(|index| hash.as_ref()[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id.to_owned(), "user_id").expect("a valid id")
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        for (asked, size) in [(0, 50), (1, 1), (200, 200), (201, 200), (i32::MAX, 200)] {
            assert_eq!(Page::parse(&user("a"), asked, "").map(|page| page.size), Ok(size));
        }
        assert_eq!(Page::parse(&user("a"), -1, "").expect_err("refused").field, "page_size");
    }

    #[test]
    fn a_list_is_walked_to_its_end() {
        let (mut token, mut starts) = (String::new(), Vec::new());
        loop {
            let page = Page::parse(&user("a"), 2, &token).expect("our own token");
            starts.push(page.start);
            token = page.next(&user("a"), 5);
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(starts, [0, 2, 4]);
    }

    #[test]
    fn a_token_of_another_user_or_of_nobody_is_refused() {
        let token = Page { start: 0, size: 2 }.next(&user("a"), 5);
        assert!(Page::parse(&user("a"), 2, &token).is_ok());
        for (id, token) in [("b", &*token), ("a", "AAAA"), ("a", "%%%"), ("a", &token[1..])] {
            assert_eq!(Page::parse(&user(id), 2, token).expect_err("refused").field, "page_token");
        }
    }
}
