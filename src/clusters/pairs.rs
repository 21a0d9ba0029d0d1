use std::collections::BTreeMap;
use std::fmt;

/// Labels or annotations, in the order of their keys. Never changed once made.
///
/// All texts stand behind each other in one piece of memory: a map of one label takes ten times as much, and there
/// are ten thousand of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    texts: Box<str>,
    /// Where each text ends: of a key, of its value, of the next key, …
    ends: Box<[usize]>,
}

impl Pairs {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Whether there is such a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let pair = (&self.texts[start..ends[0]], &self.texts[ends[0]..ends[1]]);
            start = ends[1];
            pair
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// In the order of their keys, of which none may come twice.
impl<'a> FromIterator<(&'a str, &'a str)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let pairs: BTreeMap<&str, &str> = pairs.into_iter().collect();
        let length = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        let (mut texts, mut ends) = (String::with_capacity(length), Vec::with_capacity(pairs.len() * 2));
        for text in pairs.into_iter().flat_map(|(key, value)| [key, value]) {
            texts.push_str(text);
            ends.push(texts.len());
        }
        Self { texts: texts.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_the_order_of_the_keys() {
        let pairs: Pairs = [("b", "2"), ("a", ""), ("ä", "ü"), ("", "0")].into_iter().collect();
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("", "0"), ("a", ""), ("b", "2"), ("ä", "ü")]);
        assert_eq!((pairs.get("b"), pairs.get("a"), pairs.get("c")), (Some("2"), Some(""), None));
        assert_eq!((pairs.len(), pairs.is_empty(), pairs.contains_key("ä")), (4, false, true));
        assert_eq!(format!("{pairs:?}"), r#"{"": "0", "a": "", "b": "2", "ä": "ü"}"#);
        let none = Pairs::default();
        assert_eq!((none.len(), none.is_empty(), none.get("")), (0, true, None));
        assert_eq!(none, Pairs::from_iter([]));
    }
}
