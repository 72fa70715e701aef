//! Inspection for providers without an endpoint for it: a harmless request with the token shows whether it is
//! refused.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header::ACCEPT, header::AUTHORIZATION};

use super::{Inspected, Inspection, InspectionVerdict};
use crate::{
    provider::{
        Unsendable, Verdict,
        answer::{self, Document},
        bearer,
        endpoint_error::{self, Transient},
    },
    token::AccessToken,
};

/// A request for the user's own profile.
#[derive(Debug)]
pub(in crate::provider) struct Probe {
    /// The profile's URL.
    pub(in crate::provider) url: Uri,
    /// The field with the account's id.
    pub(in crate::provider) id: &'static str,
    /// Classifies an answer of this provider.
    pub(in crate::provider) judge: fn(&Response<Bytes>, SystemTime) -> Verdict,
}

impl Inspection for Probe {
    fn encode(&self, access: &AccessToken, _: SystemTime) -> Result<Request<Bytes>, Unsendable> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url.clone();
        request.headers_mut().insert(AUTHORIZATION, bearer::authorization(access));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// A token that may not read the profile is alive too. An HTML page is never the provider's API, whatever
    /// its status.
    fn read(&self, answer: &Response<Bytes>, now: SystemTime) -> InspectionVerdict {
        if endpoint_error::is_page(answer) {
            return endpoint_error::transient(answer, now).into();
        }
        let forbidden = answer.status() == StatusCode::FORBIDDEN;
        match (self.judge)(answer, now) {
            Verdict::TokenRefused => InspectionVerdict::Dead,
            Verdict::ScopeNotGranted { .. } => InspectionVerdict::Active(self.inspected(answer)),
            Verdict::Accepted if forbidden || self.subject(answer).is_some() => {
                InspectionVerdict::Active(self.inspected(answer))
            }
            Verdict::RateLimited { retry_after } => transient(answer, retry_after, true),
            Verdict::Unavailable { retry_after } => transient(answer, retry_after, false),
            Verdict::Accepted | Verdict::NotConfigured => endpoint_error::transient(answer, now).into(),
        }
    }
}

impl Probe {
    fn inspected(&self, answer: &Response<Bytes>) -> Inspected {
        let scopes = answer::list(answer.headers(), "x-oauth-scopes").into_iter().map(str::to_owned);
        Inspected { expires_at: None, scopes: scopes.collect(), subject: self.subject(answer) }
    }

    fn subject(&self, answer: &Response<Bytes>) -> Option<String> {
        Document::read(answer.body()).id(self.id).filter(|_| answer.status().is_success())
    }
}

fn transient(answer: &Response<Bytes>, retry_after: Option<Duration>, throttled: bool) -> InspectionVerdict {
    let what = format!("it answered {}", answer.status());
    InspectionVerdict::Transient(Transient { retry_after, throttled, what })
}
