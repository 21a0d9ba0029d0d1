//! Plain types that every other room speaks: they import nothing of ours and do no I/O.
//!
//! Values here are already valid: whoever holds a [`ClusterName`] or a [`User`] need not check it again.

mod answer;
mod backoff;
mod cluster_name;
mod group_name;
mod query;
mod recent;
mod request_info;
mod status;
mod user;

pub use answer::{AUDIT_ID, Answer, answer, local_headers};
pub use backoff::{Backoff, chance, jittered};
pub use cluster_name::{ClusterName, InvalidClusterName};
pub use group_name::{GroupName, InvalidGroupName};
pub use query::Query;
pub use recent::Recent;
pub use request_info::RequestInfo;
pub use status::{Cause, Details, Reason, Status};
pub use user::{ANONYMOUS, AUTHENTICATED_GROUP, SYSTEM_MASTERS, UNAUTHENTICATED_GROUP, User};
