//! What is sent with CallProvider, and how its answer is read.

use idp_token_service::service::pb::{
    CallProviderRequest, CallProviderResponse, CallReport, Diagnosis, HttpRequest, IdentitySelector,
    NameValue,
};
use serde_json::Value;

use super::pair;

/// More than a request's method, path and body.
pub trait Build: Sized {
    fn at(self, host: &str) -> Self;
    fn method(self, method: &str) -> Self;
    fn header(self, name: &str, value: &str) -> Self;
    fn param(self, name: &str, value: &str) -> Self;
    /// The whole message, as `identity`.
    fn by(self, identity: IdentitySelector) -> CallProviderRequest;
}

impl Build for HttpRequest {
    fn at(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(pair(name, value));
        self
    }

    fn param(mut self, name: &str, value: &str) -> Self {
        self.query.push(pair(name, value));
        self
    }

    fn by(self, identity: IdentitySelector) -> CallProviderRequest {
        CallProviderRequest { identity: Some(identity), request: Some(self), idempotent: false }
    }
}

/// What an answer says.
pub trait Read {
    /// All values of a header, in their order.
    fn header(&self, name: &str) -> Vec<&str>;
    fn json(&self) -> Value;
    fn report(&self) -> &CallReport;
    fn diagnosis(&self) -> &Diagnosis;
}

impl Read for CallProviderResponse {
    fn header(&self, name: &str) -> Vec<&str> {
        let is_meant = |header: &&NameValue| header.name == name;
        self.headers.iter().filter(is_meant).map(|header| header.value.as_str()).collect()
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    fn report(&self) -> &CallReport {
        self.report.as_ref().unwrap()
    }

    #[track_caller]
    fn diagnosis(&self) -> &Diagnosis {
        self.report().diagnosis.as_ref().expect("a failure that is recognised")
    }
}
