//! What the log says about clusters: a line per change of state, none for what changes nothing about it.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Access, Cluster, Condition};

/// Names in one line: enough to find the clusters, not enough to flood.
const EXAMPLES: usize = 10;

/// One cluster is there, or is another than before.
pub(super) fn changed(before: Option<&Cluster>, after: &Cluster) {
    match before {
        None => added(after),
        Some(before) => {
            updated(before, after);
            found(before, after);
        }
    }
    if unverified(after) && !before.is_some_and(unverified) {
        warn!(cluster = %after.name, "cluster is not verified");
    }
}

/// One cluster is gone.
pub(super) fn removed(before: &Cluster) {
    info!(cluster = %before.name, "cluster removed");
}

/// A whole list came. `pairs` are the clusters that are other than before, and what they were.
pub(super) fn listed<'a>(
    total: usize,
    removed: usize,
    pairs: impl Iterator<Item = (Option<&'a Cluster>, &'a Cluster)>,
) {
    let mut others = 0;
    let mut unverified_now = Vec::new();
    for (before, after) in pairs {
        others += 1;
        if after.problem.is_some()
            && before.and_then(|before| before.problem.as_ref()) != after.problem.as_ref()
        {
            problem(after);
        }
        if unverified(after) && !before.is_some_and(unverified) {
            unverified_now.push(after.name.as_str());
        }
    }
    info!(clusters = total, changed = others, removed, "clusters listed");
    if !unverified_now.is_empty() {
        let count = unverified_now.len();
        unverified_now.truncate(EXAMPLES);
        warn!(count, examples = unverified_now.join(", "), "clusters are not verified");
    }
}

fn added(after: &Cluster) {
    match after.problem {
        Some(_) => problem(after),
        None => info!(cluster = %after.name, endpoint = after.spec.address, "cluster added"),
    }
}

fn updated(before: &Cluster, after: &Cluster) {
    if after.problem.is_some() {
        if after.problem != before.problem {
            problem(after);
        }
    } else if before.problem.is_some() {
        info!(cluster = %after.name, endpoint = after.spec.address, "cluster recovered");
    } else if !same(&before.access, &after.access) {
        info!(cluster = %after.name, endpoint = after.spec.address, "cluster changed");
    }
}

/// What requests have found out.
fn found(before: &Cluster, after: &Cluster) {
    let [old, new] = [before, after].map(|cluster| named(cluster, "Reachable"));
    match new.filter(|new| old.is_none_or(|old| old.status != new.status)) {
        Some(new) if new.status == "False" => {
            warn!(cluster = %after.name, reason = %new.message, "cluster cannot be reached");
        }
        Some(_) => info!(cluster = %after.name, "cluster can be reached again"),
        None => {}
    }
    let [old, new] = [before, after].map(|cluster| {
        named(cluster, "CredentialReady").filter(|condition| condition.reason == "CredentialRefused")
    });
    if let (None, Some(new)) = (old, new) {
        warn!(cluster = %after.name, reason = %new.message, "cluster refuses the credential");
    }
}

fn named<'a>(cluster: &'a Cluster, kind: &str) -> Option<&'a Condition> {
    cluster.conditions.iter().find(|condition| condition.kind == kind)
}

fn problem(cluster: &Cluster) {
    let reason = cluster.problem.as_deref().unwrap_or_default();
    match cluster.access {
        Ok(_) => warn!(cluster = %cluster.name, reason, "cluster has a problem, its access stays in force"),
        Err(_) => warn!(cluster = %cluster.name, reason, "cluster is not usable"),
    }
}

fn unverified(cluster: &Cluster) -> bool {
    cluster.access.as_ref().is_ok_and(|access| !access.verified)
}

fn same(before: &Result<Arc<Access>, String>, after: &Result<Arc<Access>, String>) -> bool {
    match (before, after) {
        (Ok(before), Ok(after)) => Arc::ptr_eq(before, after),
        _ => before.is_err() == after.is_err(),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
