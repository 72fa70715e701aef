//! Converts between the contract's messages and the service's own types.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::pb;
use crate::{
    auth0::connect::{self, Scopes},
    broker::{Answer, Connect, Diagnosis, Finding, FindingReason, IdentityView, Inspection, Lent, Reason},
    caller::Caller,
    field::InvalidField,
    identity::{ConnectionName, Selector, UserId},
    provider::{RateLimit, request::RawRequest},
    token::{ExpiryBasis, Fingerprint, TokenSource},
    tokens::{LastRenewalError, State},
};

/// The default minimum lifetime of a token that is handed out.
const DEFAULT_MIN_VALIDITY: Duration = Duration::from_secs(60);

/// The largest minimum lifetime; no provider's tokens live much longer.
const LONGEST_MIN_VALIDITY: Duration = Duration::from_secs(3600);

/// The user of a request, which end users may leave out.
pub(super) fn user(caller: &Caller, id: String, field: &str) -> Result<UserId, InvalidField> {
    match caller {
        Caller::EndUser { subject, .. } if id.is_empty() => Ok(subject.clone()),
        _ => UserId::parse(id, field),
    }
}

/// The user and the selector of a request's required `identity`.
pub(super) fn identity(
    caller: &Caller,
    selector: Option<pb::IdentitySelector>,
) -> Result<(UserId, Selector), InvalidField> {
    let selector =
        selector.ok_or_else(|| InvalidField::new("identity", "is required: whose token is meant"))?;
    let pb::IdentitySelector { user_id, provider, connection, account_id } = selector;
    let user = user(caller, user_id, "identity.user_id")?;
    let selector = Selector { provider, connection, account_id }.check("identity")?;
    Ok((user, selector))
}

pub(super) fn min_validity(wanted: Option<prost_types::Duration>) -> Result<Duration, InvalidField> {
    let Some(wanted) = wanted else { return Ok(DEFAULT_MIN_VALIDITY) };
    let wanted = Duration::try_from(wanted)
        .map_err(|_| InvalidField::new("min_validity", "is negative or malformed; use 0 s to 3600 s"))?;
    if wanted > LONGEST_MIN_VALIDITY {
        return Err(InvalidField::new(
            "min_validity",
            "is more than 1 h, which no provider's tokens promise",
        ));
    }
    Ok(wanted)
}

pub(super) fn rejected_fingerprint(text: &str) -> Result<Option<Fingerprint>, InvalidField> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = |error| InvalidField::new("rejected_fingerprint", format!("is malformed: {error}"));
    text.parse().map(Some).map_err(malformed)
}

pub(super) fn connect_link(
    request: pb::CreateConnectLinkRequest,
) -> Result<(ConnectionName, Connect), InvalidField> {
    let pb::CreateConnectLinkRequest { connection, scopes, offline_access, redirect_uri, state } = request;
    let connection = ConnectionName::parse(connection, "connection")?;
    let (scopes, state) = (Scopes::parse(scopes)?, connect::State::parse(state)?);
    Ok((connection, Connect { scopes, offline_access, redirect_uri, state }))
}

pub(super) fn raw_request(request: Option<pb::HttpRequest>) -> Result<RawRequest, InvalidField> {
    let request = request.ok_or_else(|| InvalidField::new("request", "is required: what to send"))?;
    let pairs = |pairs: Vec<pb::NameValue>| pairs.into_iter().map(|pair| (pair.name, pair.value)).collect();
    Ok(RawRequest {
        method: request.method,
        host: request.host,
        path: request.path,
        query: pairs(request.query),
        headers: pairs(request.headers),
        body: request.body,
    })
}

impl From<IdentityView> for pb::Identity {
    fn from(view: IdentityView) -> Self {
        let token = view.token;
        let basis = match token.expiry.map(|expiry| expiry.basis) {
            None => pb::ExpiryBasis::Unspecified,
            Some(ExpiryBasis::Provider) => pb::ExpiryBasis::Provider,
            Some(ExpiryBasis::LastLogin) => pb::ExpiryBasis::LastLogin,
            Some(ExpiryBasis::UpperBound) => pb::ExpiryBasis::UpperBound,
        };
        let state = match token.state {
            State::Active => pb::identity::State::Active,
            State::ReauthenticationRequired => pb::identity::State::ReauthenticationRequired,
            State::NoToken => pb::identity::State::NoToken,
        };
        let last_renewal_error = match token.last_renewal_error {
            None => pb::ErrorReason::Unspecified,
            Some(LastRenewalError::Transient) => pb::ErrorReason::RenewalFailed,
            Some(LastRenewalError::GrantDead) => pb::ErrorReason::ReauthenticationRequired,
        };
        Self {
            user_id: view.user.as_str().to_owned(),
            provider: view.provider,
            connection: view.connection,
            account_id: view.account_id,
            is_social: view.is_social,
            state: state.into(),
            renewable: token.renewable,
            expire_time: token.expiry.and_then(|expiry| timestamp(expiry.time)),
            expiry_basis: basis.into(),
            last_renewal_error: last_renewal_error.into(),
        }
    }
}

impl From<Inspection> for pb::InspectIdentityTokenResponse {
    fn from(inspection: Inspection) -> Self {
        Self {
            identity: Some(inspection.view.into()),
            active: inspection.active,
            scopes: inspection.scopes,
            findings: inspection.findings.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Finding> for pb::Finding {
    fn from(finding: Finding) -> Self {
        let reason = match finding.reason {
            FindingReason::ReauthenticationRequired => pb::ErrorReason::ReauthenticationRequired,
            FindingReason::ScopeNotGranted => pb::ErrorReason::ScopeNotGranted,
            FindingReason::NotConfigured => pb::ErrorReason::ProviderNotConfigured,
            FindingReason::RenewalFailed => pb::ErrorReason::RenewalFailed,
        };
        let connect_url = finding.connect_url.unwrap_or_default();
        Self { reason: reason.into(), message: finding.message, connect_url }
    }
}

/// `None` for a time that protobuf's timestamp cannot express: before the year 1 or after 9999.
fn timestamp(time: SystemTime) -> Option<prost_types::Timestamp> {
    const YEAR_1: i64 = -62_135_596_800;
    const YEAR_10000: i64 = 253_402_300_800;
    let timestamp = prost_types::Timestamp::from(time);
    (YEAR_1..YEAR_10000).contains(&timestamp.seconds).then_some(timestamp)
}

pub(super) fn lent(lent: &Lent) -> pb::GetIdentityTokenResponse {
    let Lent { live, refresh } = lent;
    let token = live.token();
    let source = match token.source {
        TokenSource::Auth0Profile => pb::TokenSource::Auth0Profile,
        TokenSource::Renewed => pb::TokenSource::Renewed,
        TokenSource::TokenVault => pb::TokenSource::TokenVault,
    };
    pb::GetIdentityTokenResponse {
        identity: Some(IdentityView::from(live).into()),
        access_token: token.access.expose().to_owned(),
        token_type: "Bearer".to_owned(),
        scopes: token.scopes.clone(),
        source: source.into(),
        fingerprint: token.access.fingerprint().to_string(),
        refresh_token: refresh.as_ref().map(|refresh| refresh.expose().to_owned()).unwrap_or_default(),
    }
}

pub(super) fn answer(answer: Answer) -> pb::CallProviderResponse {
    let report = pb::CallReport {
        identity: Some(IdentityView::from(&answer.live).into()),
        attempts: answer.attempts.try_into().unwrap_or(i32::MAX),
        token_renewed: answer.live.renewed,
        diagnosis: answer.diagnosis.map(Into::into),
        rate_limit: answer.rate_limit.map(Into::into),
        next_page_path: answer.next_page.unwrap_or_default(),
    };
    let (head, body) = answer.response.into_parts();
    pb::CallProviderResponse {
        status_code: head.status.as_u16().into(),
        headers: headers(&head.headers),
        body,
        report: Some(report),
    }
}

fn headers(headers: &HeaderMap) -> Vec<pb::NameValue> {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| pb::NameValue {
        name: name.as_str().to_owned(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    };
    headers.iter().map(pair).collect()
}

impl From<Diagnosis> for pb::Diagnosis {
    fn from(diagnosis: Diagnosis) -> Self {
        let reason = match diagnosis.reason {
            Reason::ScopeNotGranted => pb::ErrorReason::ScopeNotGranted,
            Reason::RateLimited => pb::ErrorReason::ProviderRateLimited,
            Reason::Unavailable => pb::ErrorReason::ProviderUnavailable,
            Reason::NotConfigured => pb::ErrorReason::ProviderNotConfigured,
        };
        Self {
            reason: reason.into(),
            missing_scopes: diagnosis.missing_scopes,
            // Only a wait of more than 292 billion years does not fit.
            retry_after: diagnosis.retry_after.and_then(|wait| wait.try_into().ok()),
            connect_url: diagnosis.connect_url.unwrap_or_default(),
        }
    }
}

impl From<RateLimit> for pb::RateLimit {
    fn from(limit: RateLimit) -> Self {
        Self { limit: limit.limit, remaining: limit.remaining, reset_time: limit.reset.and_then(timestamp) }
    }
}
