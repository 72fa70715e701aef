//! Microsoft's scopes, which belong to one API each.

/// Microsoft Graph, which scopes without an address belong to.
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";

/// Those of the scopes that a token for the resource has, by their short names; all of them where there is
/// but one API.
///
/// `User.Read` is Graph's, `https://acme.sharepoint.com/AllSites.Read` is SharePoint's, and `offline_access`
/// is no access token's.
pub(crate) fn within(scopes: &[String], resource: Option<&str>) -> Vec<String> {
    let Some(resource) = resource else { return scopes.to_vec() };
    let own = scopes.iter().filter(|scope| *scope != "offline_access");
    own.filter_map(|scope| short_name(scope, resource)).map(str::to_owned).collect()
}

/// `AllSites.Read`, where the scope is the resource's.
fn short_name<'a>(scope: &'a str, resource: &str) -> Option<&'a str> {
    if !scope.contains("://") {
        return (resource == GRAPH).then_some(scope);
    }
    scope.strip_prefix(resource)?.strip_prefix('/')
}
