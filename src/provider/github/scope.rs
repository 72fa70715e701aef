//! Which of GitHub's scopes include others.
//! <https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>

/// Inclusions that the names do not show.
const INCLUDED: [(&str, &str); 4] = [
    ("repo", "public_repo"),
    ("repo", "repo_deployment"),
    ("repo", "security_events"),
    ("public_repo", "admin:repo_hook"),
];

/// Returns whether a token with scope `held` may do all that `wanted` allows.
pub(super) fn grants(held: &str, wanted: &str) -> bool {
    if held == wanted || wanted.strip_prefix(held).is_some_and(|rest| rest.starts_with(':')) {
        return true; // `repo` grants `repo:status`
    }
    let ((held_rank, held_thing), (rank, thing)) = (ranked(held), ranked(wanted));
    if held_thing == thing && held_rank > rank {
        return true; // `admin:org` grants `read:org`, and `user` grants `read:user`
    }
    INCLUDED.iter().any(|(scope, included)| *scope == held && grants(included, wanted))
}

/// Returns the narrowest of `scopes`: those that include none of the others.
pub(super) fn least(scopes: &[&str]) -> Vec<String> {
    let includes_another =
        |scope: &&&str| scopes.iter().any(|other| *other != **scope && grants(scope, other));
    scopes.iter().filter(|scope| !includes_another(scope)).map(|scope| (*scope).to_owned()).collect()
}

fn ranked(scope: &str) -> (u8, &str) {
    match scope.split_once(':') {
        None => (3, scope),
        Some(("admin", thing)) => (3, thing),
        Some(("read", thing)) => (1, thing),
        Some((_, thing)) => (2, thing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_grants_what_the_documentation_lists_below_it() {
        let pairs = [
            ("repo", "repo"),
            ("repo", "repo:status"),
            ("repo", "repo_deployment"),
            ("repo", "public_repo"),
            ("repo", "repo:invite"),
            ("repo", "security_events"),
            ("repo", "admin:repo_hook"),
            ("public_repo", "write:repo_hook"),
            ("admin:repo_hook", "read:repo_hook"),
            ("admin:org", "write:org"),
            ("admin:org", "read:org"),
            ("write:org", "read:org"),
            ("user", "read:user"),
            ("user", "user:email"),
            ("user", "user:follow"),
            ("project", "read:project"),
            ("write:packages", "read:packages"),
            ("admin:enterprise", "manage_billing:enterprise"),
        ];
        for (held, wanted) in pairs {
            assert!(grants(held, wanted), "{held} grants {wanted}");
        }
    }

    #[test]
    fn a_scope_grants_nothing_else() {
        let pairs = [
            ("public_repo", "repo"),
            ("repo:status", "repo"),
            ("repo", "read:org"),
            ("repo", "repository"),
            ("read:org", "write:org"),
            ("read:user", "user"),
            ("user:email", "read:user"),
            ("user", "repo"),
            ("gist", "notifications"),
            ("delete:packages", "write:packages"),
            ("", "repo"),
        ];
        for (held, wanted) in pairs {
            assert!(!grants(held, wanted), "{held} does not grant {wanted}");
        }
    }

    #[test]
    fn the_least_scopes_are_those_that_include_no_other() {
        assert_eq!(
            least(&["admin:org", "read:org", "repo", "user", "write:org"]),
            ["read:org", "repo", "user"]
        );
        assert_eq!(least(&["repo", "public_repo"]), ["public_repo"]);
        assert!(least(&[]).is_empty());
    }
}
