//! The next page's location, in each of Microsoft's OData dialects.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::provider::answer::{self, Loose};

#[derive(Deserialize)]
struct Page {
    /// Graph, and OData 4 in general: <https://learn.microsoft.com/graph/paging>
    #[serde(default, rename = "@odata.nextLink")]
    graph: Loose,
    /// SharePoint, OData 3.
    #[serde(default, rename = "odata.nextLink")]
    sharepoint: Loose,
    /// SharePoint, `odata=verbose`.
    #[serde(default)]
    d: Option<serde_json::Value>,
}

/// The absolute URL of the next page.
pub(super) fn next(answer: &Response<Bytes>) -> Option<String> {
    let page: Page = answer::page(answer)?;
    let verbose = || page.d.as_ref()?.get("__next")?.as_str();
    let flat = [page.graph.text(), page.sharepoint.text()].into_iter().find(|link| !link.is_empty());
    flat.or_else(verbose).map(str::to_owned)
}
