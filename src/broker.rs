//! The use cases: everything that a caller can have done, each with the
//! [`Authorized`](crate::context::Authorized) permit that it takes.

use std::sync::Arc;

use crate::{
    auth0::{Auth0, connect::LoginApplication},
    policy::Policy,
    provider_client::Providers,
    telemetry::Metrics,
    tokens::Tokens,
};

mod call;
mod connect;
mod error;
mod findings;
mod identity_view;
mod inspect;
mod lend;
mod list;
mod masking;
mod page;
mod revoke;

pub use call::{Answer, Call, Diagnosis, Reason};
pub use connect::Connect;
pub use error::{Blame, Error};
pub use findings::{Finding, FindingReason};
pub use identity_view::IdentityView;
pub use inspect::Inspection;
pub use lend::{Lend, Lent};
pub use list::List;

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn page_token(user: &crate::identity::UserId, start: usize, size: usize, length: usize) -> String {
    page::Page { start, size }.next(user, length)
}

/// See [`crate::fuzzing`].
#[cfg(fuzzing)]
pub(crate) fn page_start(user: &crate::identity::UserId, token: &str) -> Option<usize> {
    page::Page::parse(user, 0, token).ok().map(|page| page.start)
}

/// Lends tokens and calls providers.
pub struct Broker {
    auth0: Arc<Auth0>,
    providers: Arc<Providers>,
    tokens: Arc<Tokens>,
    /// The application behind connect links, where one is configured.
    login: Option<LoginApplication>,
    policy: Policy,
    metrics: Arc<Metrics>,
}

impl Broker {
    /// A broker between one tenant and its providers. Without `login` there are no connect links.
    pub fn new(
        auth0: Arc<Auth0>,
        providers: Arc<Providers>,
        tokens: Arc<Tokens>,
        login: Option<LoginApplication>,
        policy: Policy,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { auth0, providers, tokens, login, policy, metrics }
    }

    /// Who may do what.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}
