//! The next page's location, by conventions that many APIs share.

use bytes::Bytes;
use http::{Response, Uri};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::provider::{
    answer::{self, next_link},
    query,
};

/// `{"next":"https://..."}`, the same below `links`, or `_links.next.href` as in HAL.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    next: Value,
    links: Value,
    #[serde(rename = "_links")]
    hal: Value,
}

/// Returns the path and query of the next page, from the `Link` header or else the body. A link may be
/// relative (RFC 8288, section 3.1). A `next` that is neither an absolute URL nor begins with `/` is a cursor
/// of unknown use, and ignored.
pub(super) fn next(sent: &Uri, answer: &Response<Bytes>, refused: &[&str]) -> Option<String> {
    if let Some(link) = next_link(answer.headers()) {
        return follow(sent, link, refused);
    }
    let page: Page = answer::page(answer)?;
    let places = [Some(&page.next), page.links.get("next"), page.hal.get("next")];
    let link = places.into_iter().flatten().find_map(target)?;
    let is_link = link.starts_with('/') || link.starts_with("https://");
    if is_link { follow(sent, link, refused) } else { None }
}

fn target(place: &Value) -> Option<&str> {
    place.as_str().or_else(|| place.get("href")?.as_str()).filter(|link| !link.is_empty())
}

fn follow(sent: &Uri, link: &str, refused: &[&str]) -> Option<String> {
    let base = Url::parse(&sent.to_string()).ok()?;
    query::followed(sent, base.join(link).ok()?.as_str(), refused)
}
