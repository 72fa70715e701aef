//! The service in a mesh: Envoy itself between clients and the real program.

mod grpc_web;
mod health;
mod identities;
mod passing;
mod retries;

use idp_token_service::service::pb::{
    ListIdentitiesRequest, idp_token_service_client::IdpTokenServiceClient,
};
use idp_token_testkit::people::ADA;
use tonic::{Request, Status, transport::Channel};

/// A client with room for the largest answer.
fn client(channel: &Channel) -> IdpTokenServiceClient<Channel> {
    const ROOM: usize = 5 * 1024 * 1024;
    IdpTokenServiceClient::new(channel.clone()).max_decoding_message_size(ROOM)
}

/// Lists Ada's identities with these headers: how many there are.
async fn list(channel: &Channel, headers: &[(&'static str, &str)]) -> Result<usize, Status> {
    let mut request = Request::new(ListIdentitiesRequest { user_id: ADA.to_owned(), ..Default::default() });
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    let answer = client(channel).list_identities(request).await?;
    Ok(answer.into_inner().identities.len())
}
