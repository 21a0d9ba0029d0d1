use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query, decoded as they are looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The first value of a parameter.
    pub(super) fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (!pair.is_empty() && decode(key) == name).then(|| decode(value))
        })
    }

    /// Whether a parameter is there and not `0` or `false` (conversion of `*bool` in apimachinery's queryparams).
    pub(super) fn flag(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
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
        assert!(query.flag("watch") && !query.flag("d") && !query.flag("none"));
    }
}
