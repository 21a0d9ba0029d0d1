use regex::Regex;

use crate::model::User;

use super::Headers;

/// Compiled rules, in their order: those of a cluster's annotation, or those of the global file.
#[derive(Debug, Default)]
pub struct Rules(pub(super) Vec<Rule>);

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    /// None matches nobody.
    pub(super) source: Option<Source>,
    pub(super) action: Action,
}

/// Whom a rule is about: all that is set must match. Nothing set is everybody, as in the reference and as with every
/// empty selector of Kubernetes.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) user_pattern: Option<Regex>,
    pub(super) group_pattern: Option<Regex>,
    pub(super) cluster_pattern: Option<Regex>,
}

#[derive(Debug)]
pub(super) enum Action {
    /// Act with the cluster's own credential.
    Privileged,
    /// Act as somebody else.
    Static(Headers),
    /// Ask somebody else. Not available yet.
    External,
}

impl Rules {
    /// The first rule about the user on the cluster.
    pub(super) fn matching(&self, user: &User, cluster: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.source.as_ref().is_some_and(|source| source.matches(user, cluster)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Source {
    fn matches(&self, user: &User, cluster: &str) -> bool {
        let same = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        let like =
            |wanted: &Option<Regex>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(own));
        same(&self.user, &user.name)
            && same(&self.uid, &user.uid)
            && same(&self.cluster, cluster)
            && self.group.as_ref().is_none_or(|group| user.is_in(group))
            && like(&self.user_pattern, &user.name)
            && like(&self.cluster_pattern, cluster)
            && self
                .group_pattern
                .as_ref()
                .is_none_or(|wanted| user.groups.iter().any(|group| wanted.is_match(group)))
    }
}
