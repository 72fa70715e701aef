//! The RPCs: from a message to a use case and back.

use std::{pin::Pin, sync::Arc};

use http::Method;
use tonic::{Request, Response, Status, Streaming};

use super::{convert, pb};
use crate::{
    audit::AuditScope,
    broker::{Broker, Call, Error, Lend, List},
    caller::Caller,
    context::{Asked, Ctx},
    deadline::Deadline,
    identity::Selector,
    memory::CallMemory,
    policy::{CallProvider, GetIdentityToken, InspectIdentityToken, ListIdentities, RevokeIdentityToken},
    provider::request::{RawRequest, check_method, is_host_name, is_path},
    shares::Shares,
};

/// Serves the contract to one caller, for one call, with what the gate learnt about it.
pub(super) struct IdpToken {
    broker: Arc<Broker>,
    caller: Caller,
    deadline: Deadline,
    memory: CallMemory,
    /// The places of concurrent calls.
    places: Shares,
    audit: AuditScope,
}

impl IdpToken {
    pub(super) fn new(
        broker: Arc<Broker>,
        caller: Caller,
        deadline: Deadline,
        memory: CallMemory,
        places: Shares,
        audit: AuditScope,
    ) -> Self {
        Self { broker, caller, deadline, memory, places, audit }
    }

    /// Runs a call, whose message is complete by now, if it gets a place and a record in the audit log. A
    /// message that arrives slowly takes no place.
    async fn work<T>(&self, rpc: impl AsyncFnOnce(&Ctx) -> Result<T, Error>) -> Result<Response<T>, Status> {
        let _place = self.places.take(self.memory.holder(), 1).map_err(Error::from)?;
        let (caller, deadline, memory) = (self.caller.clone(), self.deadline.clone(), self.memory.clone());
        let ctx = Ctx::begin(caller, deadline, memory, self.audit.clone()).await.map_err(Error::from)?;
        Ok(rpc(&ctx).await.map(Response::new)?)
    }

    async fn list(
        &self,
        ctx: &Ctx,
        request: pb::ListIdentitiesRequest,
    ) -> Result<pb::ListIdentitiesResponse, Error> {
        let user = convert::user(ctx.caller(), request.user_id, "user_id")?;
        let asked = ctx.asks(user, Selector::default());
        let authorized = ctx.authorize(self.broker.policy(), &asked, ListIdentities)?;
        let list = List { page_size: request.page_size, page_token: request.page_token };
        let (views, next_page_token) = self.broker.list(&authorized, &list).await?;
        let identities = views.into_iter().map(Into::into).collect();
        Ok(pb::ListIdentitiesResponse { identities, next_page_token })
    }

    async fn lend(
        &self,
        ctx: &Ctx,
        request: pb::GetIdentityTokenRequest,
    ) -> Result<pb::GetIdentityTokenResponse, Error> {
        let asked = asks(ctx, request.identity)?;
        let action = GetIdentityToken { refresh_token: request.include_refresh_token };
        let authorized = ctx.authorize(self.broker.policy(), &asked, action)?;
        let lend = Lend {
            min_validity: convert::min_validity(request.min_validity)?,
            rejected: convert::rejected_fingerprint(&request.rejected_fingerprint)?,
        };
        let lent = self.broker.lend(&authorized, &asked.selector, lend).await?;
        Ok(convert::lent(&lent))
    }

    async fn call(
        &self,
        ctx: &Ctx,
        request: pb::CallProviderRequest,
    ) -> Result<pb::CallProviderResponse, Error> {
        let asked = asks(ctx, request.identity)?;
        let raw = convert::raw_request(request.request)?;
        record_request(ctx, &raw);
        let authorized = ctx.authorize(self.broker.policy(), &asked, CallProvider)?;
        let call = Call { request: raw, idempotent: request.idempotent };
        let answer = self.broker.call(&authorized, &asked.selector, call).await?;
        Ok(convert::answer(answer))
    }

    async fn inspect(
        &self,
        ctx: &Ctx,
        request: pb::InspectIdentityTokenRequest,
    ) -> Result<pb::InspectIdentityTokenResponse, Error> {
        let asked = asks(ctx, request.identity)?;
        let authorized = ctx.authorize(self.broker.policy(), &asked, InspectIdentityToken)?;
        let inspection = self.broker.inspect(&authorized, &asked.selector).await?;
        Ok(inspection.into())
    }

    async fn revoke(
        &self,
        ctx: &Ctx,
        request: pb::RevokeIdentityTokenRequest,
    ) -> Result<pb::RevokeIdentityTokenResponse, Error> {
        let asked = asks(ctx, request.identity)?;
        let authorized = ctx.authorize(self.broker.policy(), &asked, RevokeIdentityToken)?;
        let view = self.broker.revoke(&authorized, &asked.selector).await?;
        Ok(pb::RevokeIdentityTokenResponse { identity: Some(view.into()) })
    }

    fn connect_link(
        &self,
        ctx: &Ctx,
        request: pb::CreateConnectLinkRequest,
    ) -> Result<pb::CreateConnectLinkResponse, Error> {
        let (connection, connect) = convert::connect_link(request)?;
        let authorized = ctx.authorize_link(self.broker.policy(), connection)?;
        let url = self.broker.connect_link(&authorized, &connect)?;
        Ok(pb::CreateConnectLinkResponse { url })
    }
}

/// Reads a request's user and selector, which are recorded before anything is decided.
fn asks(ctx: &Ctx, selector: Option<pb::IdentitySelector>) -> Result<Asked, Error> {
    let (user, selector) = convert::identity(ctx.caller(), selector)?;
    Ok(ctx.asks(user, selector))
}

/// Records the request to be sent, before it is judged. An invalid method, host or path is left out: it could
/// be anything, such as a password or a header.
fn record_request(ctx: &Ctx, raw: &RawRequest) {
    let method = check_method(&raw.method).ok();
    let host = raw.host.to_ascii_lowercase();
    let host = if host.contains('.') && is_host_name(&host) { &*host } else { "" };
    let path = raw.path.split(['?', '#']).next().unwrap_or_default();
    let path = if is_path(path) { path } else { "" };
    ctx.audit().request(method.as_ref().map(Method::as_str), host, path);
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
        self.work(async |ctx| self.list(ctx, request.into_inner()).await).await
    }

    async fn get_identity_token(
        &self,
        request: Request<pb::GetIdentityTokenRequest>,
    ) -> Result<Response<pb::GetIdentityTokenResponse>, Status> {
        self.work(async |ctx| self.lend(ctx, request.into_inner()).await).await
    }

    async fn call_provider(
        &self,
        request: Request<pb::CallProviderRequest>,
    ) -> Result<Response<pb::CallProviderResponse>, Status> {
        self.work(async |ctx| self.call(ctx, request.into_inner()).await).await
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
        self.work(async |ctx| self.inspect(ctx, request.into_inner()).await).await
    }

    async fn revoke_identity_token(
        &self,
        request: Request<pb::RevokeIdentityTokenRequest>,
    ) -> Result<Response<pb::RevokeIdentityTokenResponse>, Status> {
        self.work(async |ctx| self.revoke(ctx, request.into_inner()).await).await
    }

    async fn create_connect_link(
        &self,
        request: Request<pb::CreateConnectLinkRequest>,
    ) -> Result<Response<pb::CreateConnectLinkResponse>, Status> {
        self.work(async |ctx| self.connect_link(ctx, request.into_inner())).await
    }
}
