//! The RPCs: from a message to a use case and back.

use std::{pin::Pin, sync::Arc};

use http::Method;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::{convert, pb};
use crate::{
    audit::Trail,
    broker::{Broker, Call, Lend, List},
    deadline::Deadline,
    error::Error,
    identity::{Selector, UserId},
    policy::{
        Action, CallProvider, Caller, GetIdentityToken, InspectIdentityToken, ListIdentities, Permit,
        RevokeIdentityToken,
    },
    provider::request::{RawRequest, check_method, is_host_name},
};

/// Serves the contract to one caller, for one call: what the gate found out about the call comes with it.
pub(super) struct IdpToken {
    broker: Arc<Broker>,
    caller: Caller,
    deadline: Deadline,
    /// One for each call that is worked on.
    places: Arc<Semaphore>,
    trail: Trail,
}

impl IdpToken {
    pub(super) fn new(
        broker: Arc<Broker>,
        caller: Caller,
        deadline: Deadline,
        places: Arc<Semaphore>,
        trail: Trail,
    ) -> Self {
        Self { broker, caller, deadline, places, trail }
    }

    /// Works on a call, whose message is whole by now, if there is a place left for it here and in the audit log. A message that
    /// comes slowly takes none.
    async fn work<T>(&self, rpc: impl Future<Output = Result<T, Error>>) -> Result<Response<T>, Status> {
        let _place = self.places.try_acquire().map_err(|_| Error::Overloaded)?;
        self.trail.secure().await.map_err(Error::from)?;
        Ok(rpc.await.map(Response::new)?)
    }

    /// The user and the selector of a request, which are put on record before anything is decided.
    fn identity(&self, selector: Option<pb::IdentitySelector>) -> Result<(UserId, Selector), Error> {
        let (user, selector) = convert::identity(&self.caller, selector)?;
        self.trail.asks(&user, &selector);
        Ok((user, selector))
    }

    /// Asks the policy. What is done with the permit is put on record.
    fn permit<A: Action>(&self, user: UserId, selector: &Selector, action: A) -> Result<Permit<A>, Error> {
        let permit = self.broker.authorize(&self.caller, user, selector, action)?;
        Ok(permit.recorded_in(&self.trail))
    }

    async fn list(&self, request: pb::ListIdentitiesRequest) -> Result<pb::ListIdentitiesResponse, Error> {
        let user = convert::user(&self.caller, request.user_id, "user_id")?;
        let everything = Selector::default();
        self.trail.asks(&user, &everything);
        let permit = self.permit(user, &everything, ListIdentities)?;
        let list = List { page_size: request.page_size, page_token: request.page_token };
        let (views, next_page_token) = self.broker.list(&permit, &list, &self.deadline).await?;
        let identities = views.into_iter().map(Into::into).collect();
        Ok(pb::ListIdentitiesResponse { identities, next_page_token })
    }

    async fn lend(
        &self,
        request: pb::GetIdentityTokenRequest,
    ) -> Result<pb::GetIdentityTokenResponse, Error> {
        let (user, selector) = self.identity(request.identity)?;
        if request.include_refresh_token {
            self.trail.asks_for_refresh_token();
        }
        let lend = Lend {
            selector,
            min_validity: convert::min_validity(request.min_validity)?,
            rejected: convert::rejected_fingerprint(&request.rejected_fingerprint)?,
        };
        let action = GetIdentityToken { refresh_token: request.include_refresh_token };
        let permit = self.permit(user, &lend.selector, action)?;
        let lent = self.broker.lend(&permit, &lend, &self.deadline).await?;
        if lent.refresh.is_some() {
            self.trail.lends_refresh_token();
        }
        Ok(convert::lent(&lent))
    }

    async fn call(&self, request: pb::CallProviderRequest) -> Result<pb::CallProviderResponse, Error> {
        let (user, selector) = self.identity(request.identity)?;
        let raw = convert::raw_request(request.request)?;
        self.asks_for(&raw);
        let permit = self.permit(user, &selector, CallProvider)?;
        let call = Call { selector, request: raw, idempotent: request.idempotent };
        let answer = self.broker.call(&permit, call, &self.deadline).await?;
        Ok(convert::answer(answer))
    }

    async fn inspect(
        &self,
        request: pb::InspectIdentityTokenRequest,
    ) -> Result<pb::InspectIdentityTokenResponse, Error> {
        let (user, selector) = self.identity(request.identity)?;
        let permit = self.permit(user, &selector, InspectIdentityToken)?;
        let inspection = self.broker.inspect(&permit, &selector, &self.deadline).await?;
        Ok(inspection.into())
    }

    async fn revoke(
        &self,
        request: pb::RevokeIdentityTokenRequest,
    ) -> Result<pb::RevokeIdentityTokenResponse, Error> {
        let (user, selector) = self.identity(request.identity)?;
        let permit = self.permit(user, &selector, RevokeIdentityToken)?;
        let view = self.broker.revoke(&permit, &selector, &self.deadline).await?;
        Ok(pb::RevokeIdentityTokenResponse { identity: Some(view.into()) })
    }

    fn connect_link(
        &self,
        request: pb::CreateConnectLinkRequest,
    ) -> Result<pb::CreateConnectLinkResponse, Error> {
        let (connection, connect) = convert::connect_link(request)?;
        self.trail.asks_for_connection(connection.as_str());
        let permit = self.broker.authorize_link(&self.caller, connection)?;
        self.trail.allowed();
        let url = self.broker.connect_link(&permit, &connect)?;
        Ok(pb::CreateConnectLinkResponse { url })
    }

    /// Puts on record what is to be sent, before it is judged. What is no method or host at all is left out: nobody could tell
    /// what it is.
    fn asks_for(&self, raw: &RawRequest) {
        let method = check_method(&raw.method).ok();
        let host = raw.host.to_ascii_lowercase();
        let host = if host.contains('.') && is_host_name(&host) { &*host } else { "" };
        self.trail.request(method.as_ref().map(Method::as_str), host, &raw.path);
    }
}

fn unsupported<T>(operation: &'static str) -> Result<T, Status> {
    Err(Error::OperationUnsupported { provider: None, operation }.into())
}

#[tonic::async_trait]
impl pb::idp_token_service_server::IdpTokenService for IdpToken {
    async fn list_identities(
        &self,
        request: Request<pb::ListIdentitiesRequest>,
    ) -> Result<Response<pb::ListIdentitiesResponse>, Status> {
        self.work(self.list(request.into_inner())).await
    }

    async fn get_identity_token(
        &self,
        request: Request<pb::GetIdentityTokenRequest>,
    ) -> Result<Response<pb::GetIdentityTokenResponse>, Status> {
        self.work(self.lend(request.into_inner())).await
    }

    async fn call_provider(
        &self,
        request: Request<pb::CallProviderRequest>,
    ) -> Result<Response<pb::CallProviderResponse>, Status> {
        self.work(self.call(request.into_inner())).await
    }

    type StreamProviderStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<pb::StreamProviderResponse, Status>> + Send>>;

    async fn stream_provider(
        &self,
        _: Request<Streaming<pb::StreamProviderRequest>>,
    ) -> Result<Response<Self::StreamProviderStream>, Status> {
        unsupported("StreamProvider")
    }

    async fn inspect_identity_token(
        &self,
        request: Request<pb::InspectIdentityTokenRequest>,
    ) -> Result<Response<pb::InspectIdentityTokenResponse>, Status> {
        self.work(self.inspect(request.into_inner())).await
    }

    async fn revoke_identity_token(
        &self,
        request: Request<pb::RevokeIdentityTokenRequest>,
    ) -> Result<Response<pb::RevokeIdentityTokenResponse>, Status> {
        self.work(self.revoke(request.into_inner())).await
    }

    async fn create_connect_link(
        &self,
        request: Request<pb::CreateConnectLinkRequest>,
    ) -> Result<Response<pb::CreateConnectLinkResponse>, Status> {
        self.work(async { self.connect_link(request.into_inner()) }).await
    }
}
