//! Every adapter, set up so that it can do all that it ever does.

use std::sync::{Arc, LazyLock};

use idp_token_service::{
    provider::{self, Provider, Settings},
    secret::Secret,
};

/// One that has this name, or a generic one: any input means some adapter.
pub fn adapter(strategy: &str) -> &'static dyn Provider {
    let all = LazyLock::force(&ALL);
    let named = all.iter().find(|(name, _)| *name == strategy);
    let (_, adapter) = named.or(all.last()).expect("there are adapters");
    &**adapter
}

static ALL: LazyLock<Vec<(&str, Box<dyn Provider>)>> = LazyLock::new(|| {
    let build = |strategy| Some((strategy, provider::build(strategy, settings(strategy))?));
    provider::strategies().filter_map(build).collect()
});

fn settings(strategy: &str) -> Settings {
    let is_generic = matches!(strategy, "oauth2" | "oidc");
    let url =
        |path: &str| is_generic.then(|| format!("https://login.example/{path}").parse().expect("a URL"));
    let hosts = match strategy {
        "oauth2" | "oidc" => &["api.example", "*.api.example"][..],
        "sharepoint" => &["acme.sharepoint.com"],
        _ => &[],
    };
    Settings {
        hosts: hosts.iter().map(ToString::to_string).collect(),
        client_id: Some("application".to_owned()),
        client_secret: Some(Arc::new(Secret::fixed("the application's secret".to_owned()))),
        token_url: url("token"),
        inspect_url: url("introspect"),
        revoke_url: url("revoke"),
        ..Settings::default()
    }
}
