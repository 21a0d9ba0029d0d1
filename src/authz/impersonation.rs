use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::model::{
    ANONYMOUS, AUTHENTICATED_GROUP, ClusterName, Reason, RequestInfo, Status, UNAUTHENTICATED_GROUP, User,
};

use super::{Denied, WorkerAuthorizer};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";

/// As whom a caller wants to act, by `Impersonate-*` headers
/// (k8s.io/apiserver, pkg/endpoints/filters/impersonation).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonation {
    user: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
    uid: String,
}

impl Impersonation {
    /// What the headers ask for; none when they ask for nothing. 400 when they say something about a user whom they
    /// do not name.
    pub fn requested(headers: &HeaderMap) -> Result<Option<Self>, Denied> {
        if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
            return Ok(None);
        }
        let first = |name| headers.get(name).map_or(Ok(String::new()), |value| text(name, value));
        let mut requested = Self {
            user: first(USER)?,
            groups: headers
                .get_all(GROUP)
                .iter()
                .map(|value| text(GROUP, value))
                .collect::<Result<_, _>>()?,
            extra: BTreeMap::new(),
            uid: first(UID)?,
        };
        for (name, value) in headers {
            if let Some(key) = name.as_str().strip_prefix(EXTRA) {
                let values = requested.extra.entry(User::extra_key(key)).or_default();
                values.push(text(name.as_str(), value)?);
            }
        }
        let nothing_else =
            requested.groups.is_empty() && requested.extra.is_empty() && requested.uid.is_empty();
        match (requested.user.is_empty(), nothing_else) {
            (false, _) => Ok(Some(requested)),
            (true, true) => Ok(None),
            (true, false) => Err(Status::new(
                Reason::BadRequest,
                "Impersonate-Group, Impersonate-Uid and Impersonate-Extra-* need an Impersonate-User",
            )
            .into()),
        }
    }

    /// What the caller must be allowed: verb `impersonate` on each thing that is claimed.
    pub fn checks(&self) -> impl Iterator<Item = RequestInfo<'_>> {
        let user = match service_account(&self.user) {
            Some((namespace, name)) => RequestInfo { namespace, ..claim("", "serviceaccounts", "", name) },
            None => claim("", "users", "", &self.user),
        };
        let groups = self.groups.iter().map(|group| claim("", "groups", "", group));
        let extra = self.extra.iter().flat_map(|(key, values)| {
            values.iter().map(|value| claim(AUTHENTICATION_GROUP, "userextras", key, value))
        });
        let uid = (!self.uid.is_empty()).then(|| claim(AUTHENTICATION_GROUP, "uids", "", &self.uid));
        std::iter::once(user).chain(groups).chain(extra).chain(uid)
    }

    /// Who the caller is when all of it is allowed.
    pub fn into_user(self) -> User {
        let mut groups = self.groups;
        if let (true, Some((namespace, _))) = (groups.is_empty(), service_account(&self.user)) {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        let has = |group: &str| groups.iter().any(|own| own == group);
        if self.user == ANONYMOUS {
            if !has(UNAUTHENTICATED_GROUP) {
                groups.push(UNAUTHENTICATED_GROUP.to_owned());
            }
        } else if !has(AUTHENTICATED_GROUP) && !has(UNAUTHENTICATED_GROUP) {
            groups.push(AUTHENTICATED_GROUP.to_owned());
        }
        User { name: self.user, uid: self.uid, groups, extra: self.extra }
    }
}

impl WorkerAuthorizer {
    /// Who the caller acts as: somebody else when `Impersonate-*` headers ask for that and all of it is allowed.
    pub async fn acting_as(&self, user: Arc<User>, headers: &HeaderMap) -> Result<Arc<User>, Denied> {
        let Some(requested) = Impersonation::requested(headers)? else { return Ok(user) };
        for check in requested.checks() {
            self.authorize(&user, &check).await?;
        }
        let other = requested.into_user();
        tracing::debug!(user = user.name, acting_as = other.name, "impersonation");
        Ok(Arc::new(other))
    }
}

fn claim<'a>(group: &'a str, resource: &'a str, subresource: &'a str, name: &'a str) -> RequestInfo<'a> {
    RequestInfo {
        is_resource: true,
        path: "",
        verb: Cow::Borrowed("impersonate"),
        api_prefix: "",
        api_group: group,
        // Kubernetes' own filter asks with a version only where there is a group.
        api_version: if group.is_empty() { "" } else { "v1" },
        namespace: "",
        resource,
        subresource,
        name: Cow::Borrowed(name),
    }
}

/// Namespace and name out of `system:serviceaccount:NAMESPACE:NAME`, where both could be some.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    // A namespace is a DNS-1123 label, an account's name a subdomain, which is what a cluster's name is as well.
    let is_label = namespace.len() <= 63 && !namespace.contains('.') && ClusterName::is_valid(namespace);
    (is_label && ClusterName::is_valid(name)).then_some((namespace, name))
}

fn text(header: &str, value: &HeaderValue) -> Result<String, Denied> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Status::new(Reason::BadRequest, format!("header {header} is not valid UTF-8")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::Question;
    use crate::authz::testing::{Script, worker};
    use http::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn requested(pairs: &[(&str, &str)]) -> Impersonation {
        Impersonation::requested(&headers(pairs)).unwrap().unwrap()
    }

    #[test]
    fn every_claim_is_checked_as_kube_apiserver_checks_it() {
        let requested = requested(&[
            ("Impersonate-User", "alice"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Group", "ops"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Acme%2FScope", "a"),
            ("Impersonate-Extra-Acme%2FScope", "b"),
        ]);
        let checks: Vec<_> = requested
            .checks()
            .map(|check| {
                assert!(check.is_resource && check.verb == "impersonate");
                format!("{}|{}|{}|{}", check.api_group, check.resource, check.subresource, check.name)
            })
            .collect();
        assert_eq!(
            checks,
            [
                "|users||alice",
                "|groups||dev",
                "|groups||ops",
                "authentication.k8s.io|userextras|acme/scope|a",
                "authentication.k8s.io|userextras|acme/scope|b",
                "authentication.k8s.io|uids||7",
            ]
        );
    }

    #[test]
    fn service_accounts_are_checked_as_such_and_get_their_groups() {
        let account = requested(&[("Impersonate-User", "system:serviceaccount:kube-system:default")]);
        let check = account.checks().next().unwrap();
        assert_eq!(
            (check.resource, check.namespace, &*check.name),
            ("serviceaccounts", "kube-system", "default")
        );
        assert_eq!(
            account.into_user().groups,
            ["system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED_GROUP]
        );
        for no_account in
            ["system:serviceaccount:a", "system:serviceaccount:a:b:c", "system:serviceaccount:A:b"]
        {
            assert_eq!(
                requested(&[("Impersonate-User", no_account)]).checks().next().unwrap().resource,
                "users"
            );
        }
    }

    #[test]
    fn groups_are_completed_as_in_kube_apiserver() {
        let groups = |pairs: &[(&str, &str)]| requested(pairs).into_user().groups;
        assert_eq!(groups(&[("impersonate-user", "a")]), [AUTHENTICATED_GROUP]);
        assert_eq!(
            groups(&[("impersonate-user", "a"), ("impersonate-group", "g")]),
            ["g", AUTHENTICATED_GROUP]
        );
        assert_eq!(
            groups(&[("impersonate-user", "a"), ("impersonate-group", UNAUTHENTICATED_GROUP)]),
            [UNAUTHENTICATED_GROUP]
        );
        assert_eq!(groups(&[("impersonate-user", ANONYMOUS)]), [UNAUTHENTICATED_GROUP]);
    }

    #[test]
    fn claims_about_nobody_are_a_bad_request() {
        for pair in [("impersonate-group", "g"), ("impersonate-uid", "1"), ("impersonate-extra-a", "")] {
            let status = Impersonation::requested(&headers(&[pair])).unwrap_err().status();
            assert_eq!(status.code(), 400, "{pair:?}");
        }
        assert_eq!(Impersonation::requested(&headers(&[("impersonate-user", "")])), Ok(None));
        assert_eq!(Impersonation::requested(&headers(&[("accept", "x")])), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_becomes_somebody_else_only_when_all_of_it_is_allowed() {
        let may = |question: &Question| !format!("{:?}", question.review().spec).contains("\"admins\"");
        let script = Script::new(may);
        let worker = worker(&script);
        let bob = Arc::new(User::new("bob", ["dev"]));
        let as_alice = headers(&[("impersonate-user", "alice"), ("impersonate-group", "dev")]);
        assert_eq!(worker.acting_as(Arc::clone(&bob), &as_alice).await.unwrap().name, "alice");
        let as_admin = headers(&[("impersonate-user", "alice"), ("impersonate-group", "admins")]);
        let status = worker.acting_as(Arc::clone(&bob), &as_admin).await.unwrap_err().status();
        assert_eq!(status.code(), 403);
        assert!(
            status.message().starts_with("groups \"admins\" is forbidden: User \"bob\" cannot impersonate"),
            "{}",
            status.message()
        );
        let same = worker.acting_as(Arc::clone(&bob), &HeaderMap::new()).await.unwrap();
        assert!(Arc::ptr_eq(&same, &bob));
    }
}
