//! A page token reads back, and only for its user and as it was made.
//!
//! The lines: a user, another one, where the page begins, its size, how long the list is, what is done to the
//! token (where, and a letter), and a token that somebody made up.

#![no_main]

use idp_token_service::{
    fuzzing::{page_start, page_token},
    identity::UserId,
};
use idp_token_service_fuzz::Lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let mut user = || UserId::parse(lines.field(), "user_id");
    let (Ok(user), Ok(other)) = (user(), user()) else { return };
    let mut number = || lines.field().parse::<u32>().unwrap_or(7) as usize;
    let (start, size, length) = (number(), number().clamp(1, 200), number());
    let (change, made_up) = (lines.field(), lines.field());
    let token = page_token(&user, start, size, length);
    // The check guards against mistakes, and libFuzzer sees through it. Even so there is but one token for a
    // page.
    if let Some(start) = page_start(&user, &made_up).filter(|_| !made_up.is_empty()) {
        assert_eq!(made_up, page_token(&user, start, 0, start + 1));
    }
    if token.is_empty() {
        assert!(start + size >= length || u32::try_from(start + size).is_err());
        return;
    }
    assert_eq!(page_start(&user, &token), Some(start + size));
    assert!(user == other || page_start(&other, &token).is_none(), "{other} walks the list of {user}");
    let changed = changed(&token, &change);
    assert!(changed == token || page_start(&user, &changed).is_none(), "{changed} is taken for {token}");
});

fn changed(token: &str, change: &str) -> String {
    let (at, letter) = change.split_once(' ').unwrap_or_default();
    let (Ok(at), Some(letter)) = (at.parse::<usize>(), letter.chars().next()) else {
        return token.to_owned();
    };
    let at = at % token.len();
    token.chars().enumerate().map(|(index, old)| if index == at { letter } else { old }).collect()
}
