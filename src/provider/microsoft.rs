//! Microsoft Graph and SharePoint Online, for work and personal accounts.
//! <https://learn.microsoft.com/graph/errors>

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header::ACCEPT};

use self::failure::Failure;
use super::{
    HostPattern, HostRule, Inspection, Kind, MissingCapability, Provider, RateLimit, Renewal, Settings,
    Verdict, advice::Advice, answer, bearer, inspection::Probe, kind, query, renewal::RefreshGrant,
    request::ApiRequest,
};
use crate::{retry::retry_after, token::AccessToken};

mod failure;
mod page;
mod tokens;

/// Source: <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>.
const ADVICE: Advice = Advice {
    no_refresh_token: "Microsoft issued no refresh token, so that access ends with the token, about an hour after the login. \
        Add `offline_access` to the `scope` in the connection's `upstream_params` in Auth0 (PATCH \
        /api/v2/connections/{id} with the whole `options`), and have the user log in again.",
    grant_ended: "Microsoft does so after 90 days without use, when an administrator resets the password or revokes the \
        sessions, and where a policy wants more than the login gave, such as a second factor.",
    ..Advice::GENERAL
};

/// Entra ID (formerly Azure Active Directory). A token is for one resource: Graph, or the hosts that are
/// configured.
pub(super) const WORK: Kind = Kind {
    strategies: &["waad"],
    hosts: HostRule::Default,
    is_shared: false,
    takes: &[kind::CLIENT, kind::PROOF, &["inspect_url", "scopes", "identity_api", "resource"]],
    takes_lone_secret: false,
    wants_certificate: true,
    advice: ADVICE,
    check_version: kind::no_version,
    build: |settings| Box::new(Microsoft::new(settings, Accounts::Work)),
};

/// Personal Microsoft accounts.
pub(super) const PERSONAL: Kind = Kind {
    strategies: &["windowslive"],
    takes: &[kind::CLIENT, kind::PROOF, &["inspect_url", "scopes"]],
    build: |settings| Box::new(Microsoft::new(settings, Accounts::Personal)),
    ..WORK
};

/// Auth0's old strategy for SharePoint add-ins. SharePoint Online has issued no tokens to it since April
/// 2026, when the Access Control Service was retired; use a `waad` connection with the tenant's host in
/// `hosts` instead.
pub(super) const SHAREPOINT: Kind = Kind {
    strategies: &["sharepoint"],
    hosts: HostRule::Required,
    takes: &[&["inspect_url"]],
    advice: Advice::GENERAL,
    build: |settings| Box::new(Microsoft::new(settings, Accounts::AddIns)),
    ..WORK
};

/// Who issues the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accounts {
    /// Entra ID.
    Work,
    /// The consumers' tenant.
    Personal,
    /// The Access Control Service, which was retired.
    AddIns,
}

const GRAPH: &str = "graph.microsoft.com";

/// Hosts that issue tokens, and so are never API hosts, whatever is configured.
const TOKEN_HOSTS: [&str; 3] = ["login.microsoftonline.com", "login.windows.net", "login.live.com"];

/// SharePoint answers in XML by default:
/// <https://learn.microsoft.com/sharepoint/dev/sp-add-ins/get-to-know-the-sharepoint-rest-service>
const SHAREPOINT_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json;odata=nometadata");

/// The adapter of `waad`, `windowslive` and `sharepoint`.
#[derive(Debug)]
pub(super) struct Microsoft {
    hosts: Vec<HostPattern>,
    renewal: Result<RefreshGrant, MissingCapability>,
    inspection: Result<Probe, MissingCapability>,
}

impl Microsoft {
    /// Creates the adapter for Graph's public cloud, unless `settings` name other hosts.
    pub(super) fn new(mut settings: Settings, accounts: Accounts) -> Self {
        settings.hosts.retain(|host| !TOKEN_HOSTS.contains(&host.as_str()));
        if settings.hosts.is_empty() {
            settings.hosts.push(GRAPH.to_owned());
        }
        let hosts = settings.hosts.iter().map(|name| HostPattern::new(name).except(&TOKEN_HOSTS));
        Self {
            hosts: hosts.collect(),
            renewal: tokens::renewal(&settings, accounts),
            inspection: tokens::inspection(&settings),
        }
    }
}

impl Provider for Microsoft {
    fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn encode(&self, call: &ApiRequest, token: &AccessToken) -> Request<Bytes> {
        let mut request = bearer::request(call, call.path_and_query.clone(), token);
        if call.host.ends_with(".sharepoint.com") {
            request.headers_mut().entry(ACCEPT).or_insert(SHAREPOINT_MEDIA_TYPE);
        }
        request
    }

    fn judge(&self, answer: &Response<Bytes>, now: SystemTime) -> Verdict {
        judge(answer, now)
    }

    fn next_page(&self, sent: &Uri, answer: &Response<Bytes>) -> Option<String> {
        query::followed(sent, &page::next(answer)?, self.refused_parameters())
    }

    /// SharePoint reports a limit once four fifths of it are used: <https://aka.ms/spo-throttling>
    fn rate_limit(&self, headers: &HeaderMap, now: SystemTime) -> Option<RateLimit> {
        answer::rate_limit(headers, now)
    }

    fn renewal(&self) -> Result<&dyn Renewal, &MissingCapability> {
        self.renewal.as_ref().map(|renewal| renewal as _)
    }

    fn inspection(&self) -> Result<&dyn Inspection, &MissingCapability> {
        self.inspection.as_ref().map(|inspection| inspection as _)
    }
}

/// A throttle in Graph's list of status codes, despite its number.
const BANDWIDTH_LIMIT_EXCEEDED: u16 = 509;

fn judge(answer: &Response<Bytes>, now: SystemTime) -> Verdict {
    let retry_after = || retry_after(answer.headers(), now);
    match answer.status() {
        // Also for a live token when the tenant requires a new login, which only another token can prove:
        // https://learn.microsoft.com/entra/identity-platform/claims-challenge
        StatusCode::UNAUTHORIZED => Verdict::TokenRefused,
        StatusCode::FORBIDDEN => forbidden(answer),
        StatusCode::TOO_MANY_REQUESTS => Verdict::RateLimited { retry_after: retry_after() },
        status if status.as_u16() == BANDWIDTH_LIMIT_EXCEEDED => {
            Verdict::RateLimited { retry_after: retry_after() }
        }
        status if answer::may_pass(status) => Verdict::Unavailable { retry_after: retry_after() },
        _ => Verdict::Accepted,
    }
}

fn forbidden(answer: &Response<Bytes>) -> Verdict {
    let failure = Failure::read(answer);
    if let Some(missing) = failure.missing_scopes() {
        return Verdict::ScopeNotGranted { missing };
    }
    if failure.says_not_enough() || wants_claims(answer.headers()) {
        return Verdict::ScopeNotGranted { missing: Vec::new() };
    }
    if failure.passes_on_repetition() {
        return Verdict::Unavailable { retry_after: None };
    }
    Verdict::Accepted
}

/// A conditional access policy of this resource requires more than the login gave; the token is good for
/// other resources. Graph documents this beside the 401 of other services.
fn wants_claims(headers: &HeaderMap) -> bool {
    ["insufficient_claims", "insufficient_scope"]
        .iter()
        .any(|error| answer::challenge(headers, error, "claims").is_some())
}

#[cfg(test)]
mod tests;
