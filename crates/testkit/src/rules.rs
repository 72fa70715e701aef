//! Rules of a policy.

use idp_token_service::policy::{Pattern, Permission, ProviderName, RequestPattern, Rule, Who};

/// Everything, with everybody's tokens, by every request.
pub fn everything(who: Who) -> Rule {
    Rule {
        who,
        allow: Permission::all().collect(),
        providers: vec![ProviderName::All],
        requests: vec![RequestPattern::parse("**").unwrap()],
        line: None,
    }
}

/// The same for every service.
pub fn everything_for_services() -> Rule {
    everything(Who::Services(Pattern::parse("**").unwrap()))
}
