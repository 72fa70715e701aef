//! The bodies of Microsoft's errors: `{"error":{"code":"...","message":"..."}}`.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::provider::answer::{self, Loose, Words};

/// The token's scopes or the user's role do not suffice. `accessDenied` of OneDrive and SharePoint is not
/// listed: it mostly concerns one item, which no further scope would open.
/// <https://learn.microsoft.com/graph/resolve-auth-errors>
const NOT_ENOUGH: [&str; 2] = ["Authorization_RequestDenied", "ErrorAccessDenied"];

#[derive(Default, Deserialize)]
struct Body {
    error: Failure,
}

/// An error, as far as the body describes it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    code: Loose,
    message: Loose,
}

impl Failure {
    /// Reads the error in an answer's body. SharePoint's own format, whose message is an object, is not
    /// understood.
    pub(super) fn read(answer: &Response<Bytes>) -> Self {
        answer::json::<Body>(answer.body()).unwrap_or_default().error
    }

    /// Returns whether permissions are missing that the error does not name.
    pub(super) fn says_not_enough(&self) -> bool {
        NOT_ENOUGH.contains(&self.code.text())
    }

    /// The scopes of `Missing scope permissions on the request. API requires one of 'A, B'. Scopes on the
    /// request ...`, an answer of Teams. One of them suffices; the API lists the least privileged first.
    pub(super) fn missing_scopes(&self) -> Option<Vec<String>> {
        let (_, after) = self.message.text().split_once("Missing scope permissions on the request.")?;
        let named = after.split_once("requires one of '").and_then(|(_, list)| list.split_once('\''));
        Some(named.map(|(list, _)| Words::of(list).0).unwrap_or_default())
    }

    /// A fault inside Microsoft's services, seen to pass when the request is repeated:
    /// <https://techcommunity.microsoft.com/discussions/officegraph/invalid-s2s-auth-token-error-for-api-requests/3912375>
    pub(super) fn passes_on_repetition(&self) -> bool {
        self.message.text().starts_with("Invalid S2S auth token")
    }
}
