//! A user as the Management API shows it.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::state::account::Provider;
use crate::state::users::{Identity, User};

/// The whole profile; the providers' tokens are in it only `with_tokens`, and nothing tells that they were
/// left out.
pub(crate) fn of(user: &User, with_tokens: bool) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| _ = out.insert(name.to_owned(), value);
    put("user_id", json!(user.id));
    put("name", json!(user.name));
    put("nickname", json!(user.identities.first().map(|one| one.nickname.as_str())));
    put("email", json!(user.email));
    put("email_verified", json!(true));
    put("picture", json!("https://cdn.auth0.example/avatars/sb.png"));
    put("created_at", json!(rfc3339(user.created_at)));
    put("updated_at", json!(rfc3339(user.last_login)));
    put("last_login", json!(rfc3339(user.last_login)));
    put("last_ip", json!("192.0.2.1"));
    put("logins_count", json!(user.logins_count));
    let identities = user.identities.iter().enumerate();
    let shown = identities.map(|(index, one)| identity(user, one, index > 0, with_tokens));
    put("identities", shown.collect());
    out
}

/// One linked account. `expires_in` is a companion of the access token and comes and goes with it.
fn identity(user: &User, identity: &Identity, is_secondary: bool, with_tokens: bool) -> Value {
    let mut out = json!({
        "connection": identity.connection,
        "provider": identity.strategy,
        "user_id": user_id(identity),
        "isSocial": identity.provider.is_some_and(Provider::is_social) || identity.strategy == "oauth2",
    });
    if is_secondary {
        out["profileData"] = json!({
            "email": user.email, "email_verified": true, "name": user.name, "nickname": identity.nickname,
        });
    }
    if with_tokens && let Some(token) = &identity.access_token {
        out["access_token"] = json!(token);
        identity.expires_in.inspect(|seconds| out["expires_in"] = json!(seconds));
        identity.refresh_token.iter().for_each(|token| out["refresh_token"] = json!(token));
    }
    out
}

/// GitHub's ids come as JSON numbers.
fn user_id(identity: &Identity) -> Value {
    let is_github = identity.provider == Some(Provider::GitHub);
    let number = identity.user_id.parse::<u64>().ok().filter(|_| is_github);
    number.map_or_else(|| json!(identity.user_id), |number| json!(number))
}

/// Applies `fields` and `include_fields`; names that a profile lacks are passed over.
pub(crate) fn select(profile: Map<String, Value>, fields: Option<&str>, include: bool) -> Map<String, Value> {
    let Some(fields) = fields.filter(|text| !text.is_empty()) else { return profile };
    let named: Vec<&str> = fields.split(',').map(str::trim).collect();
    profile.into_iter().filter(|(name, _)| named.contains(&name.as_str()) == include).collect()
}
