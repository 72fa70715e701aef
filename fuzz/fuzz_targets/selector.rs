//! The selector chooses one identity or none, and only one that it means and that the caller may see.
//!
//! The first line is a user id. The second is a selector: provider, connection and account id, separated by
//! spaces. Each further line is an identity, written alike, with letters behind it: `t` has a token, `v` is
//! in Token Vault, `h` is hidden from the caller.

#![no_main]

use std::sync::Arc;

use idp_token_service::{
    identity::{Identity, IdentityKey, Profile, SelectError, Selector, StoredToken, UserId},
    token::AccessToken,
};
use idp_token_service_fuzz::Lines;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use url::Url;

fuzz_target!(|data: &[u8]| {
    let Some(mut lines) = Lines::of(data) else { return };
    let Ok(user) = UserId::parse(lines.field(), "user_id") else { return };
    is_one_segment(&user);
    let [provider, connection, account_id, _] = words(&lines.field());
    let Ok(selector) = (Selector { provider, connection, account_id }).check("identity") else { return };
    let (identities, hidden): (Vec<_>, Vec<_>) = lines.block().iter().map(|line| identity(line)).unzip();
    let profile = Profile { user_id: user, identities };
    is_chosen(&profile, &selector, &hidden);
});

/// A user id stays one segment of a URL's path, and reads back.
fn is_one_segment(user: &UserId) {
    let url =
        Url::parse(&format!("https://tenant.example/api/v2/users/{}", user.path_segment())).expect("a URL");
    let segments: Vec<_> = url.path_segments().expect("a path").collect();
    assert_eq!(segments[..3], ["api", "v2", "users"], "{url}");
    assert_eq!(segments.len(), 4, "{url}");
    assert_eq!(percent_decode_str(segments[3]).decode_utf8().expect("UTF-8"), user.as_str());
    assert_eq!((url.query(), url.fragment(), url.host_str()), (None, None, Some("tenant.example")));
}

fn words(line: &str) -> [String; 4] {
    let mut words = line.split(' ').map(str::to_owned);
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// The identity of a line, and whether it is hidden.
fn identity(line: &str) -> (Identity, bool) {
    let [provider, connection, account_id, flags] = words(line);
    let token = flags
        .contains('t')
        .then(|| StoredToken::of_profile(AccessToken::new("token".to_owned()), None, None));
    let identity = Identity {
        provider,
        key: Arc::new(IdentityKey { connection, account_id }),
        is_social: true,
        token: token.map(Arc::new),
        in_vault: flags.contains('v'),
    };
    (identity, flags.contains('h'))
}

/// The outcome is what counting says.
fn is_chosen(profile: &Profile, selector: &Selector, hidden: &[bool]) {
    let is_hidden = |identity: &Identity| {
        let at = profile.identities.iter().position(|other| std::ptr::eq(other, identity));
        hidden[at.expect("it is one of the profile's")]
    };
    let Selector { provider, connection, account_id } = selector;
    let fits = |identity: &&Identity| {
        [
            (provider.as_str(), identity.provider.as_str()),
            (connection, identity.connection()),
            (account_id, identity.account_id()),
        ]
        .iter()
        .all(|(wanted, is)| wanted.is_empty() || wanted == is)
    };
    let meant: Vec<_> =
        profile.identities.iter().filter(fits).filter(|identity| !is_hidden(identity)).collect();
    let usable: Vec<_> =
        meant.iter().filter(|identity| identity.token.is_some() || identity.in_vault).collect();
    match profile.select(selector, |identity| !is_hidden(identity)) {
        Ok(chosen) => assert!(usable.len() == 1 && std::ptr::eq(*usable[0], &profile.identities[chosen])),
        Err(SelectError::Ambiguous { candidates }) => {
            assert!(usable.len() > 1 && candidates.len() == usable.len().min(10));
            assert!(candidates.iter().zip(&usable).all(|(said, identity)| *said == identity.to_string()));
        }
        Err(SelectError::TokenNotStored { .. }) => assert!(usable.is_empty() && !meant.is_empty()),
        Err(SelectError::NotLinked { .. }) => assert!(meant.is_empty()),
    }
}
