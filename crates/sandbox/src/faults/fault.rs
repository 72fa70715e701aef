//! One fault: which requests it is for, and what happens to them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

/// A fault to be scripted. Unless told otherwise it hits the next matching request, once.
///
/// ```
/// # use idp_token_sandbox::Fault;
/// let second_answer_is_429 =
///     Fault::on("api.github.com").path("/user").after(1).answer(429).header("retry-after", "3");
/// ```
#[derive(Clone)]
pub struct Fault {
    host: Option<String>,
    path: String,
    method: Option<Method>,
    skips: u64,
    limit: Option<u64>,
    act: Act,
}

/// What happens to a request.
#[derive(Clone)]
pub(crate) struct Act {
    pub(crate) delay: Duration,
    /// Whether the request takes effect before the fault does.
    pub(crate) processed: bool,
    pub(crate) effect: Effect,
}

/// What the client gets to see.
#[derive(Clone)]
pub(crate) enum Effect {
    /// The real answer.
    Pass,
    /// This answer.
    Answer(StatusCode, HeaderMap, Bytes),
    /// The real answer with this RFC 7396 patch applied to its JSON.
    Amend(Value),
    /// A connection that closes before any answer.
    Cut,
    /// The head and the first bytes of the real answer, then a closed connection.
    CutBody(usize),
    /// Nothing, for ever.
    Hang,
}

impl Effect {
    /// Whether there is nothing to show without the real answer, beside [`Effect::Pass`].
    pub(crate) fn needs_request(&self) -> bool {
        matches!(self, Self::Amend(_) | Self::CutBody(_))
    }
}

impl Fault {
    /// A fault of one host; the tenant is named by its domain ([`Sandbox::domain`](crate::Sandbox::domain)).
    pub fn on(host: impl Into<String>) -> Self {
        Self { host: Some(host.into().to_ascii_lowercase()), ..Self::anywhere() }
    }

    /// A fault of all hosts.
    pub fn anywhere() -> Self {
        let act = Act { delay: Duration::ZERO, processed: false, effect: Effect::Pass };
        Self { host: None, path: String::new(), method: None, skips: 0, limit: Some(1), act }
    }

    /// Only requests whose raw path starts with this.
    #[must_use]
    pub fn path(mut self, prefix: impl Into<String>) -> Self {
        self.path = prefix.into();
        self
    }

    /// Only requests of this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Lets this many matching requests through first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skips = requests;
        self
    }

    /// Happens this many times; once, unless told otherwise.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.limit = Some(times);
        self
    }

    /// Happens until the faults are cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Waits before anything else happens; after the request took effect, where it does so first
    /// ([`Fault::processed`]): then it has, even if the client no longer waits for the answer.
    #[must_use]
    pub fn delay(mut self, by: Duration) -> Self {
        self.act.delay = by;
        self
    }

    /// The request takes effect first: a renewal whose answer is lost was a renewal all the same.
    #[must_use]
    pub fn processed(mut self) -> Self {
        self.act.processed = true;
        self
    }

    /// Answers with this status and no body; an impossible status becomes 500.
    #[must_use]
    pub fn answer(mut self, status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.act.effect = Effect::Answer(status, HeaderMap::new(), Bytes::new());
        self
    }

    /// Adds a header to the answer (200 if none was chosen); names and values that HTTP forbids are left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name.to_ascii_lowercase());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            self.answer_parts().1.append(name, value);
        }
        self
    }

    /// The answer's body (200 if no status was chosen).
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.answer_parts().2 = body.into();
        self
    }

    /// A JSON body (200 if no status was chosen).
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// 200 with a page of HTML where JSON was expected, as a captive portal or a broken gateway answers.
    #[must_use]
    pub fn garbage(self) -> Self {
        self.answer(200).header("content-type", "text/html").body("<!doctype html><title>Please wait</title>")
    }

    /// 200 with nothing in it.
    #[must_use]
    pub fn empty(self) -> Self {
        self.answer(200)
    }

    /// Carries the request out and changes fields of the real JSON answer, as RFC 7396 says: `null` removes
    /// one.
    ///
    /// ```
    /// # use idp_token_sandbox::Fault;
    /// let tells_no_lifetime =
    ///     Fault::on("bitbucket.org").amend(serde_json::json!({"expires_in": null, "scope": "account"}));
    /// ```
    #[must_use]
    pub fn amend(mut self, patch: impl Into<Value>) -> Self {
        self.act.effect = Effect::Amend(patch.into());
        self
    }

    /// Closes the connection before any answer.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.act.effect = Effect::Cut;
        self
    }

    /// Closes the connection after this many bytes of the real answer's body.
    #[must_use]
    pub fn cut_body(mut self, after: usize) -> Self {
        self.act.effect = Effect::CutBody(after);
        self
    }

    /// Never answers; the connection stays open until the client leaves.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.act.effect = Effect::Hang;
        self
    }

    fn answer_parts(&mut self) -> (&mut StatusCode, &mut HeaderMap, &mut Bytes) {
        if !matches!(self.act.effect, Effect::Answer(..)) {
            self.act.effect = Effect::Answer(StatusCode::OK, HeaderMap::new(), Bytes::new());
        }
        let Effect::Answer(status, headers, body) = &mut self.act.effect else {
            unreachable!("the effect was made an answer on the line above")
        };
        (status, headers, body)
    }

    pub(crate) fn matches(&self, host: &str, method: &Method, path: &str) -> bool {
        self.host.as_deref().is_none_or(|own| own == host)
            && self.method.as_ref().is_none_or(|own| own == method)
            && path.starts_with(&self.path)
    }

    /// The host, the beginning of the path, and the method that it is for.
    pub(crate) fn target(&self) -> (Option<&str>, &str, Option<&Method>) {
        (self.host.as_deref(), &self.path, self.method.as_ref())
    }

    pub(crate) fn skips(&self) -> u64 {
        self.skips
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(crate) fn act(&self) -> Act {
        self.act.clone()
    }
}
