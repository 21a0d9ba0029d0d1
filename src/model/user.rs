use std::collections::BTreeMap;

/// The group that every caller is in who is not anonymous.
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The group to which a Kubernetes apiserver refuses nothing.
pub const SYSTEM_MASTERS: &str = "system:masters";

/// Who a caller is, as Kubernetes' `user.Info`: what the hub says of them or their own certificate or token proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct User {
    /// `system:anonymous` for callers who show nothing.
    pub name: String,
    /// Empty when not known.
    pub uid: String,
    /// In the order in which the authenticator gave them.
    pub groups: Vec<String>,
    /// Keys are lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Somebody with a name and groups and nothing else.
    pub fn new<G: Into<String>>(name: impl Into<String>, groups: impl IntoIterator<Item = G>) -> Self {
        Self { name: name.into(), groups: groups.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Whether the user is a member of the group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}
