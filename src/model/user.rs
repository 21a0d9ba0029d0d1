use std::collections::BTreeMap;

/// The group that every caller is in who is not anonymous.
pub const AUTHENTICATED_GROUP: &str = "system:authenticated";
/// The group of callers who show nothing.
pub const UNAUTHENTICATED_GROUP: &str = "system:unauthenticated";
/// The name of callers who show nothing.
pub const ANONYMOUS: &str = "system:anonymous";
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

    /// The key of an extra out of what follows `X-Remote-Extra-` or `Impersonate-Extra-` in a header's name: `%` and
    /// two digits is a byte; what is not well-formed is taken as it stands, as k8s.io/apiserver does.
    pub fn extra_key(encoded: &str) -> String {
        let well_formed = encoded.split('%').skip(1).all(|rest| {
            rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        match well_formed.then(|| percent_encoding::percent_decode_str(encoded).decode_utf8()) {
            Some(Ok(decoded)) => decoded.into_owned(),
            Some(Err(_)) | None => encoded.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_keys_are_decoded_where_that_is_possible() {
        for (encoded, key) in [
            ("scopes", "scopes"),
            ("acme.com%2fproject", "acme.com/project"),
            ("%25", "%"),
            ("a%2", "a%2"),
            ("a%zz%2f", "a%zz%2f"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(User::extra_key(encoded), key);
        }
    }
}
