use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::{Recent, User};

use super::{FrontProxy, Refusal, in_authenticated};

/// Users a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");
/// Bytes of headers above which a user is not remembered. Usual ones have a few hundred.
const LARGE: usize = 8 * 1024;

/// One worker's memory of whom the front proxy has spoken for, so that a user who comes often costs no allocation.
pub(super) struct Identities {
    hasher: RandomState,
    known: Mutex<Recent<Known>>,
}

struct Known {
    generation: u64,
    shown: Shown,
    user: Arc<User>,
}

/// The headers that make a user, as they came. Copies: they must not keep a request's buffer alive.
struct Shown {
    name: HeaderValue,
    uid: Option<HeaderValue>,
    groups: Vec<HeaderValue>,
    extra: Vec<(HeaderName, HeaderValue)>,
}

impl Identities {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), known: Mutex::new(Recent::new(REMEMBERED)) }
    }

    /// Whom the front proxy speaks for; none when it names nobody. `generation` is that of `proxy`.
    pub(super) fn user(
        &self,
        proxy: &FrontProxy,
        generation: u64,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<User>>, Refusal> {
        let Some(name) = first(headers, &proxy.username_headers) else { return Ok(None) };
        let seen = Seen { proxy, headers, name, uid: first(headers, &proxy.uid_headers) };
        let hash = seen.hash(&self.hasher, generation);
        // Only this worker's thread takes the lock: it never waits.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(hash, |known| known.generation == generation && seen.is(&known.shown))
        {
            return Ok(Some(Arc::clone(&known.user)));
        }
        let user = Arc::new(seen.user()?);
        if seen.size() <= LARGE {
            known.put(hash, Known { generation, shown: seen.copy(), user: Arc::clone(&user) });
        }
        Ok(Some(user))
    }
}

/// A request's headers, read as the front proxy's.
struct Seen<'a> {
    proxy: &'a FrontProxy,
    headers: &'a HeaderMap,
    name: &'a HeaderValue,
    uid: Option<&'a HeaderValue>,
}

impl<'a> Seen<'a> {
    fn groups(&self) -> impl Iterator<Item = &'a HeaderValue> {
        let headers = self.headers;
        self.proxy
            .group_headers
            .iter()
            .flat_map(move |name| headers.get_all(name))
            .filter(|group| !group.is_empty())
    }

    /// Prefix by prefix, as Go does, so that values keep their order where two prefixes overlap.
    fn extra(&self) -> impl Iterator<Item = (&'a HeaderName, &'a str, &'a HeaderValue)> {
        let headers = self.headers;
        self.proxy.extra_prefixes.iter().flat_map(move |prefix| {
            headers.iter().filter_map(move |(name, value)| {
                let key = name.as_str().strip_prefix(prefix.as_str())?;
                Some((name, key, value))
            })
        })
    }

    /// Extras are added up: Go writes them in any order.
    fn hash(&self, hasher: &RandomState, generation: u64) -> u64 {
        let mut hash = hasher.build_hasher();
        generation.hash(&mut hash);
        self.name.as_bytes().hash(&mut hash);
        self.uid.map(HeaderValue::as_bytes).hash(&mut hash);
        for group in self.groups() {
            group.as_bytes().hash(&mut hash);
        }
        let extra = self
            .extra()
            .map(|(name, _, value)| hasher.hash_one((name.as_str(), value.as_bytes())))
            .fold(0_u64, u64::wrapping_add);
        hash.write_u64(extra);
        hash.finish()
    }

    fn is(&self, shown: &Shown) -> bool {
        let mut count = 0;
        self.name == shown.name
            && self.uid == shown.uid.as_ref()
            && self.groups().eq(shown.groups.iter())
            && self.extra().all(|(name, _, _)| {
                count += 1;
                // Values of one name in their order, names in any.
                self.headers.get_all(name).iter().eq(shown.values(name))
            })
            && count == shown.extra.len()
    }

    fn size(&self) -> usize {
        let extra = self.extra().map(|(name, _, value)| name.as_str().len() + value.len());
        self.name.len() + self.groups().map(HeaderValue::len).sum::<usize>() + extra.sum::<usize>()
    }

    fn copy(&self) -> Shown {
        Shown {
            name: copy(self.name),
            uid: self.uid.map(copy),
            groups: self.groups().map(copy).collect(),
            extra: self
                .extra()
                .map(|(name, _, value)| {
                    // A name's text is a name.
                    let own = HeaderName::from_bytes(name.as_str().as_bytes());
                    (own.unwrap_or_else(|_| name.clone()), copy(value))
                })
                .collect(),
        }
    }

    fn user(&self) -> Result<User, Refusal> {
        let text = |value: &HeaderValue, header: &str| match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Refusal::Header(header.to_owned())),
        };
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, key, value) in self.extra() {
            extra.entry(User::extra_key(key)).or_default().push(text(value, name.as_str())?);
        }
        Ok(in_authenticated(User {
            name: text(self.name, "of the user's name")?,
            uid: self.uid.map(|uid| text(uid, "of the UID")).transpose()?.unwrap_or_default(),
            groups: self.groups().map(|group| text(group, "of groups")).collect::<Result<_, _>>()?,
            extra,
        }))
    }
}

impl Shown {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
        self.extra.iter().filter(move |(own, _)| own == name).map(|(_, value)| value)
    }
}

/// The first of some headers that is not empty; of a header's values only the first counts, as Go's `Header.Get`.
fn first<'a>(headers: &'a HeaderMap, names: &[HeaderName]) -> Option<&'a HeaderValue> {
    names.iter().filter_map(|name| headers.get(name)).find(|value| !value.is_empty())
}

fn copy(value: &HeaderValue) -> HeaderValue {
    // A value's bytes are a value.
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Trust;
    use crate::authn::testing::Authority;

    fn proxy() -> FrontProxy {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        FrontProxy {
            ca: Trust::from_pem(Authority::new("ca").pem().as_bytes()).unwrap(),
            allowed_names: vec![],
            username_headers: names(&["x-remote-user", "x-other-user"]),
            uid_headers: names(&["x-remote-uid"]),
            group_headers: names(&["x-remote-group"]),
            extra_prefixes: vec!["x-remote-extra-".into()],
        }
    }

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

    #[test]
    fn headers_become_a_user_as_in_kube_apiserver() {
        let headers = headers(&[
            ("X-Remote-User", ""),
            ("X-Other-User", "jürgen"),
            ("X-Remote-Uid", "17"),
            ("X-Remote-Group", "a, b"),
            ("X-Remote-Group", ""),
            ("X-Remote-Group", "c"),
            ("X-Remote-Extra-Acme.com%2FProject", "one"),
            ("X-Remote-Extra-acme.com%2Fproject", "two"),
            ("X-Remote-Extra-Bad%zz", "three"),
            ("X-Remote-Other", "no"),
        ]);
        let user = Identities::new().user(&proxy(), 1, &headers).unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("jürgen", "17"));
        assert_eq!(user.groups, ["a, b", "c", "system:authenticated"]);
        let extra: Vec<_> = user.extra.iter().map(|(key, values)| (key.as_str(), values.len())).collect();
        assert_eq!(extra, [("acme.com/project", 2), ("bad%zz", 1)]);
    }

    #[test]
    fn a_proxy_that_names_nobody_has_no_opinion() {
        let headers = headers(&[("X-Remote-Group", "system:masters")]);
        assert_eq!(Identities::new().user(&proxy(), 1, &headers), Ok(None));
    }

    #[test]
    fn a_uid_counts_only_where_its_header_is_configured() {
        let mut proxy = proxy();
        proxy.uid_headers.clear();
        let headers = headers(&[("X-Remote-User", "a"), ("X-Remote-Uid", "forged")]);
        assert_eq!(Identities::new().user(&proxy, 1, &headers).unwrap().unwrap().uid, "");
    }

    #[test]
    fn a_user_who_comes_again_is_the_same_allocation_whatever_the_order_of_extras() {
        let identities = Identities::new();
        let user = |pairs: &[(&str, &str)], generation| {
            identities.user(&proxy(), generation, &headers(pairs)).unwrap().unwrap()
        };
        let (one, two) = (("x-remote-extra-a", "1"), ("x-remote-extra-b", "2"));
        let first = user(&[("x-remote-user", "u"), one, two], 1);
        assert!(Arc::ptr_eq(&first, &user(&[two, ("accept", "x"), one, ("x-remote-user", "u")], 1)));
        assert!(!Arc::ptr_eq(&first, &user(&[("x-remote-user", "u"), one, two], 2)));
    }

    #[test]
    fn users_who_differ_in_anything_are_different_users() {
        let identities = Identities::new();
        let sets: &[&[(&str, &str)]] = &[
            &[("x-remote-user", "u")],
            &[("x-remote-user", "v")],
            &[("x-remote-user", "u"), ("x-remote-uid", "1")],
            &[("x-remote-user", "u"), ("x-remote-group", "g")],
            &[("x-remote-user", "u"), ("x-remote-group", "g"), ("x-remote-group", "h")],
            &[("x-remote-user", "u"), ("x-remote-group", "h"), ("x-remote-group", "g")],
            &[("x-remote-user", "u"), ("x-remote-extra-a", "1")],
            &[("x-remote-user", "u"), ("x-remote-extra-b", "1")],
            &[("x-remote-user", "u"), ("x-remote-extra-a", "1"), ("x-remote-extra-a", "2")],
            &[("x-remote-user", "u"), ("x-remote-extra-a", "2"), ("x-remote-extra-a", "1")],
        ];
        let all = || sets.iter().map(|set| identities.user(&proxy(), 1, &headers(set)).unwrap().unwrap());
        let first: Vec<_> = all().collect();
        for (index, user) in all().enumerate() {
            assert!(first.iter().enumerate().all(|(other, seen)| (*seen == user) == (index == other)));
        }
    }

    #[test]
    fn names_that_are_no_text_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        assert!(matches!(Identities::new().user(&proxy(), 1, &headers), Err(Refusal::Header(_))));
    }
}
