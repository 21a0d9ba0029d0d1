use std::sync::Arc;

use ahash::RandomState;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};

use crate::model::{RequestInfo, User};

/// Who wants to do what: all that the hub's answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    user: Arc<User>,
    is_resource: bool,
    /// All texts one after the other, so that asking takes one allocation.
    text: Box<str>,
    ends: [usize; FIELDS],
}

const FIELDS: usize = 8;
type Fields<'a> = [&'a str; FIELDS];

impl Question {
    /// Takes copies of the request's attributes.
    pub fn new(user: &Arc<User>, attributes: &RequestInfo<'_>) -> Self {
        let mut ends = [0; FIELDS];
        let mut text = String::new();
        for (end, field) in ends.iter_mut().zip(fields(attributes)) {
            text.push_str(field);
            *end = text.len();
        }
        Self { user: Arc::clone(user), is_resource: attributes.is_resource, text: text.into(), ends }
    }

    /// Who asks.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// The review that asks it. Selectors are left out: they would only narrow what is asked for.
    pub fn review(&self) -> SubjectAccessReview {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let [verb, group, version, namespace, resource, subresource, name, path] = self.fields().map(text);
        let (resource_attributes, non_resource_attributes) = if self.is_resource {
            let attributes = ResourceAttributes {
                verb,
                group,
                version,
                namespace,
                resource,
                subresource,
                name,
                ..ResourceAttributes::default()
            };
            (Some(attributes), None)
        } else {
            (None, Some(NonResourceAttributes { path, verb }))
        };
        let user = &self.user;
        SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: text(&user.name),
                uid: text(&user.uid),
                groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
                extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
                resource_attributes,
                non_resource_attributes,
            },
            ..SubjectAccessReview::default()
        }
    }

    /// Whether it is the question that this request raises.
    pub(super) fn is(&self, user: &Arc<User>, attributes: &RequestInfo<'_>) -> bool {
        self.is_resource == attributes.is_resource
            && self.fields() == fields(attributes)
            && (Arc::ptr_eq(&self.user, user) || self.user == *user)
    }

    /// Whether it is small enough to be remembered: k8s.io/apiserver's limit on what a caller may make us keep.
    pub(super) fn is_small(&self) -> bool {
        self.text.len() < 10_000
    }

    fn fields(&self) -> Fields<'_> {
        let mut start = 0;
        self.ends.map(|end| {
            let field = &self.text[start..end];
            start = end;
            field
        })
    }
}

/// The hash of the question that a request raises, without making the question.
pub(super) fn hash(hasher: &RandomState, user: &User, attributes: &RequestInfo<'_>) -> u64 {
    hasher.hash_one((user, attributes.is_resource, fields(attributes)))
}

/// Everything that decides: a resource's path does not.
fn fields<'a>(attributes: &'a RequestInfo<'_>) -> Fields<'a> {
    [
        &attributes.verb,
        attributes.api_group,
        attributes.api_version,
        attributes.namespace,
        attributes.resource,
        attributes.subresource,
        &attributes.name,
        if attributes.is_resource { "" } else { attributes.path },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn question(user: User, method: &Method, path: &str) -> Question {
        Question::new(&Arc::new(user), &RequestInfo::parse(method, path, None))
    }

    #[test]
    fn a_resource_is_asked_about_by_its_attributes() {
        let mut bob = User::new("bob", ["dev"]);
        bob.uid = "7".into();
        bob.extra.insert("scope".into(), vec!["a".into()]);
        let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/foo/proxy/api/v1/pods";
        let review = question(bob, &Method::POST, path).review();
        let json = serde_json::to_value(&review.spec).unwrap();
        let expected = serde_json::json!({
            "user": "bob", "uid": "7", "groups": ["dev"], "extra": {"scope": ["a"]},
            "resourceAttributes": {
                "verb": "create", "group": "cluster.core.oam.dev", "version": "v1alpha1",
                "resource": "clustergateways", "subresource": "proxy", "name": "foo",
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn any_other_path_is_asked_about_as_it_stands() {
        let review = question(User::new("bob", [""; 0]), &Method::GET, "/metrics").review();
        let expected = serde_json::json!({
            "user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
        });
        assert_eq!(serde_json::to_value(&review.spec).unwrap(), expected);
    }

    #[test]
    fn questions_differ_when_user_or_attributes_do() {
        let bob = Arc::new(User::new("bob", ["dev"]));
        let targets = [
            "/api/v1/pods",
            "/api/v1/namespaces/a/pods",
            "/api/v1/namespaces/ap/ods",
            "/healthz",
            "/apihealthz",
        ];
        for (index, target) in targets.iter().enumerate() {
            let question = question(User::clone(&bob), &Method::GET, target);
            for (other, target) in targets.iter().enumerate() {
                let attributes = RequestInfo::parse(&Method::GET, target, None);
                assert_eq!(question.is(&bob, &attributes), index == other, "{target}");
            }
            let other = Arc::new(User::new("bob", ["dev", "ops"]));
            assert!(!question.is(&other, &RequestInfo::parse(&Method::GET, target, None)));
        }
    }
}
