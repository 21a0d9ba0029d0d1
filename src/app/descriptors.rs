use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this many open files a gateway is soon at its end: a cluster in use takes one, a caller one, an upgraded
/// stream two.
const FEW: u64 = 4096;

/// Raises the limit of open files to what the system allows: shells and container runtimes start programs with 1024,
/// for the sake of `select`, which nobody here calls. Says when that is little.
pub(super) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // No limit at all is none.
    let limit = if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX);
    if let Err(error) = raised {
        tracing::warn!(%error, limit, "the limit of open files cannot be raised");
    } else if limit < FEW {
        tracing::warn!(limit, "few files may be open: raise the hard limit (ulimit -Hn, LimitNOFILE)");
    } else {
        tracing::debug!(limit, "open files");
    }
}
