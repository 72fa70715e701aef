//! The process' limit of open files, which every connection counts for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The most connections of the gRPC port where nothing else is configured. A service mesh opens a handful for
/// each caller; this many is a leak or an attack.
const CONNECTIONS: usize = 8192;

/// Open files kept back for whatever is no connection of the gRPC port: each of 1,024 calls at once may have
/// a connection to a provider and find another one broken, and Auth0, the store, the logs and the admin port
/// have theirs.
const KEPT_BACK: u64 = 2048;

/// Raises the limit to the highest that this process may set. Shells and systemd start programs with 1,024
/// for the sake of those that use select(2), which this one does not.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, ?current, ?maximum, "Cannot raise the limit of open files");
    }
}

/// How many connections the gRPC port may have: what is configured, or less where the limit of open files is
/// lower.
pub(super) fn connections(configured: Option<usize>) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let possible = possible(limit);
    let wanted = configured.unwrap_or(CONNECTIONS);
    if wanted <= possible {
        return wanted;
    }
    if configured.is_some() {
        tracing::warn!(
            limits_connections = wanted,
            possible,
            open_files = limit,
            "The limit of open files allows fewer connections than configured: raise it (`LimitNOFILE=` in a systemd \
             unit, `ulimit -Hn` in a shell)"
        );
    }
    possible
}

/// What a limit of open files leaves for connections: at least half of it.
fn possible(limit: Option<u64>) -> usize {
    let Some(limit) = limit else { return usize::MAX };
    usize::try_from(limit - KEPT_BACK.min(limit / 2)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_back_for_the_way_out() {
        for (limit, connections) in [
            (Some(256), 128),
            (Some(1024), 512),
            (Some(4096), 2048),
            (Some(20_000), 17_952),
            (None, usize::MAX),
        ] {
            assert_eq!(possible(limit), connections, "{limit:?}");
        }
    }
}
