//! The least that a tonic server can do: one unary method, written out as tonic's generated code has it.

use std::{
    convert::Infallible,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use prost::Message;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;
use tower::Service;

/// Reads a `Q` and answers always the same `A`.
pub(crate) struct Echo<Q, A> {
    answer: Arc<A>,
    request: PhantomData<fn(Q)>,
}

impl<Q, A> Echo<Q, A> {
    pub(crate) fn new(answer: A) -> Self {
        Self { answer: Arc::new(answer), request: PhantomData }
    }
}

impl<Q, A> Clone for Echo<Q, A> {
    fn clone(&self) -> Self {
        Self { answer: Arc::clone(&self.answer), request: PhantomData }
    }
}

impl<Q, A> NamedService for Echo<Q, A> {
    // The real service's: paths are sent whole with every call, and a shorter one would be an advantage.
    const NAME: &'static str = "idptoken.v1.IdpTokenService";
}

type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<Q, A> Service<http::Request<Body>> for Echo<Q, A>
where
    Q: Message + Default + 'static,
    A: Message + Clone + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::<A, Q>::default()).unary(method, request).await) })
    }
}

impl<Q, A> UnaryService<Q> for Echo<Q, A>
where
    A: Message + Clone + 'static,
{
    type Response = A;
    type Future = BoxFuture<Response<A>, Status>;

    fn call(&mut self, _: Request<Q>) -> Self::Future {
        let answer = Arc::clone(&self.answer);
        Box::pin(async move { Ok(Response::new(answer.as_ref().clone())) })
    }
}
