//! What browsers may do, `[web]`.

use http::HeaderValue;
use url::{Origin, Url};

use super::{
    network,
    section::Section,
    value::{Setting, must_be},
};

/// Maximum number of origins; a longer list was pasted by mistake.
const MOST_ORIGINS: usize = 100;

/// What browsers may do, `[web]`.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// The origins whose pages may read answers, at most 100, each as browsers write it. Default: none.
    pub allowed_origins: Vec<HeaderValue>,
}

impl Web {
    /// Reads the table; `None` after a reported mistake.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let origins = section.several("allowed_origins", "none", |AllowedOrigin(origin)| origin);
        let allowed_origins = origins.ok()?;
        if allowed_origins.len() > MOST_ORIGINS {
            section.problem(format!("`web.allowed_origins` holds more than {MOST_ORIGINS} origins"));
            return None;
        }
        Some(Self { allowed_origins })
    }
}

/// An origin: a scheme, a host, and a port unless it is the scheme's own.
struct AllowedOrigin(HeaderValue);

impl Setting for AllowedOrigin {
    const EXPECTED: &'static str = "exact origins such as `https://app.acme.example`";

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err(
                "must name each origin: `*` is not accepted, since any page could then call".to_owned()
            );
        }
        let url = Url::parse(text).map_err(|_| must_be::<Self>())?;
        let Origin::Tuple(..) = url.origin() else { return Err(must_be::<Self>()) };
        if url.origin().ascii_serialization() != text {
            return Err("must be written as a browser sends it, or it never matches: scheme, host and port alone, in lower \
                        case, without `/` at the end and without the scheme's own port"
                .to_owned());
        }
        if !network::has_safe_scheme(&url) {
            return Err(network::NO_PLAIN_HTTP.to_owned());
        }
        HeaderValue::try_from(text).map(Self).map_err(|_| must_be::<Self>())
    }
}
