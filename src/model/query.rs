use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query, decoded as they are looked for, and read as Go's `url.ParseQuery` reads them: what it
/// drops (a pair with a bad escape or a semicolon) is not there for us either. A cluster would otherwise be asked for
/// something else than was authorized.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Of the raw text behind the question mark, if any.
    pub fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The first value of a parameter.
    pub fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }

    /// All values of a parameter, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0.split('&').filter(|pair| is_read(pair)).filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key) == name).then(|| decode(value))
        })
    }

    /// Whether a parameter is there and not `0` or `false` (conversion of `*bool` in apimachinery's queryparams).
    pub fn flag(&self, name: &str) -> bool {
        // Most requests have no query.
        !self.0.is_empty()
            && self
                .first(name)
                .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

/// Whether Go would keep a pair.
fn is_read(pair: &str) -> bool {
    let escapes_are_valid = || {
        pair.split('%').skip(1).all(|rest| {
            let digits = rest.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
    };
    !pair.is_empty() && !pair.contains(';') && escapes_are_valid()
}

fn decode(text: &str) -> Cow<'_, str> {
    match text.contains('+') {
        true => percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned().into(),
        false => percent_decode_str(text).decode_utf8_lossy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::new(Some("a=1&&b%20c=x+y%2C&watch&d=false&d=true"));
        assert_eq!(query.first("a").as_deref(), Some("1"));
        assert_eq!(query.first("b c").as_deref(), Some("x y,"));
        assert_eq!(query.first("none"), None);
        let dropped = Query::new(Some("a=%zz&b=1;c=2&d=%2&e=%41"));
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|name| dropped.first(name).is_some()),
            [false, false, false, false, true]
        );
        assert!(query.flag("watch") && !query.flag("d") && !query.flag("none"));
    }
}
