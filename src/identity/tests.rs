use super::*;

fn identity(provider: &str, connection: &str, account_id: &str, token: bool) -> Identity {
    let access = AccessToken::new(format!("{connection}-{account_id}"));
    Identity {
        provider: provider.to_owned(),
        key: Arc::new(IdentityKey { connection: connection.to_owned(), account_id: account_id.to_owned() }),
        is_social: true,
        token: token.then(|| Arc::new(StoredToken::of_profile(access, None, None))),
        in_vault: connection == "vaulted",
    }
}

fn profile(identities: &[(&str, &str, &str, bool)]) -> Profile {
    let identities = identities.iter().map(|(p, c, a, t)| identity(p, c, a, *t)).collect();
    Profile { user_id: UserId("user".to_owned()), identities }
}

fn selector(provider: &str, connection: &str, account_id: &str) -> Selector {
    Selector {
        provider: provider.to_owned(),
        connection: connection.to_owned(),
        account_id: account_id.to_owned(),
    }
}

/// Returns the selected identity, or the error's name with its metadata.
fn outcome(profile: &Profile, selector: &Selector) -> String {
    match profile.select(selector, |_| true) {
        Ok(index) => profile.identities[index].to_string(),
        Err(SelectError::NotLinked { provider }) => format!("not linked: {provider}"),
        Err(SelectError::Ambiguous { candidates }) => format!("ambiguous: {}", candidates.join(",")),
        Err(SelectError::TokenNotStored { provider, connection }) => {
            format!("no token: {provider}/{connection}")
        }
    }
}

#[test]
fn exactly_one_identity_is_chosen_or_none() {
    let user = profile(&[
        ("auth0", "Username-Password-Authentication", "1", false),
        ("github", "github", "2", true),
        ("github", "github", "3", true),
        ("oauth2", "gitlab", "4", true),
        ("oauth2", "gitea", "5", false),
        ("google-oauth2", "google-oauth2", "6", false),
        ("slack", "vaulted", "7", false),
    ]);
    for (provider, connection, account_id, expected) in [
        ("oauth2", "", "", "oauth2/gitlab/4"),
        ("", "gitlab", "", "oauth2/gitlab/4"),
        ("", "", "2", "github/github/2"),
        ("github", "github", "3", "github/github/3"),
        ("github", "", "", "ambiguous: github/github/2,github/github/3"),
        ("", "", "", "ambiguous: github/github/2,github/github/3,oauth2/gitlab/4,slack/vaulted/7"),
        ("slack", "", "", "slack/vaulted/7"),
        ("facebook", "", "", "not linked: facebook"),
        ("github", "gitlab", "", "not linked: github"),
        ("oauth2", "gitea", "", "no token: oauth2/gitea"),
        ("google-oauth2", "", "", "no token: google-oauth2/google-oauth2"),
        ("auth0", "", "1", "no token: auth0/Username-Password-Authentication"),
    ] {
        assert_eq!(outcome(&user, &selector(provider, connection, account_id)), expected);
    }
}

#[test]
fn what_is_not_visible_does_not_exist() {
    let user = profile(&[("github", "github", "2", true), ("oauth2", "gitlab", "4", true)]);
    let select = |selector| {
        user.select(&selector, |identity| identity.provider == "github")
            .map(|index| user.identities[index].account_id())
    };
    assert_eq!(select(Selector::default()), Ok("2"));
    let hidden = select(selector("oauth2", "gitlab", "4"));
    assert_eq!(hidden, Err(SelectError::NotLinked { provider: "oauth2".to_owned() }));
}

#[test]
fn an_empty_selector_takes_the_only_identity_with_a_token_wherever_it_stands() {
    let user = profile(&[("auth0", "db", "1", false), ("github", "github", "2", true)]);
    assert_eq!(outcome(&user, &Selector::default()), "github/github/2");
}

#[test]
fn a_user_id_is_encoded_once_and_whole() {
    for (id, encoded) in [
        ("google-oauth2|1119", "google-oauth2%7C1119"),
        ("oauth2|siwe|eip155%3A5%3A0x1f", "oauth2%7Csiwe%7Ceip155%253A5%253A0x1f"),
        ("samlp|corp|a/b c", "samlp%7Ccorp%7Ca%2Fb%20c"),
        ("auth0|ü?#&", "auth0%7C%C3%BC%3F%23%26"),
    ] {
        let id = UserId::parse(id.to_owned(), "user_id").expect("a valid id");
        assert_eq!(id.path_segment(), encoded);
    }
}

#[test]
fn what_no_user_id_can_be_is_refused_without_quoting_it() {
    for id in ["", ".", "..", "a\nb", "a\0b", &"x".repeat(1025)] {
        let error = UserId::parse(id.to_owned(), "identity.user_id").expect_err("refused");
        assert_eq!(error.field, "identity.user_id");
        assert!(id.len() < 2 || !error.problem.contains(id));
    }
}
