/// A field selector (apimachinery, pkg/fields/selector.go). What has no namespace can be selected by its name; its
/// namespace is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    is_name: bool,
    equal: bool,
    value: String,
}

impl Fields {
    pub(super) fn parse(selector: &str) -> Result<Self, String> {
        let mut parts = split(selector);
        parts.sort_unstable();
        let terms = parts.into_iter().filter(|part| !part.is_empty()).map(|part| {
            let (field, equal, value) = operator(part)
                .ok_or_else(|| format!("invalid selector: '{selector}'; can't understand '{part}'"))?;
            Ok((field, equal, unescape(value)?))
        });
        let terms = terms.collect::<Result<Vec<_>, String>>()?;
        let terms = terms.into_iter().map(|(field, equal, value)| {
            let is_name = match field {
                "metadata.name" => true,
                "metadata.namespace" => false,
                other => {
                    return Err(format!(
                        "{other:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    ));
                }
            };
            Ok(Term { is_name, equal, value })
        });
        terms.collect::<Result<_, _>>().map(Self)
    }

    /// Adds a name, where none is asked for. False: another one is asked for.
    pub(super) fn restrict_to(&mut self, name: &str) -> bool {
        if self.0.is_empty() {
            self.0.push(Term { is_name: true, equal: true, value: name.to_owned() });
            return true;
        }
        self.0.iter().find(|term| term.is_name && term.equal).is_some_and(|term| term.value == name)
    }

    pub(super) fn choose(&self, name: &str) -> bool {
        self.0.iter().all(|term| {
            let actual = if term.is_name { name } else { "" };
            (actual == term.value) == term.equal
        })
    }
}

/// Terms end at commas that are not escaped.
fn split(selector: &str) -> Vec<&str> {
    let mut escaped = false;
    let ends = |character| match (escaped, character) {
        (true, _) => {
            escaped = false;
            false
        }
        (false, '\\') => {
            escaped = true;
            false
        }
        (false, other) => other == ',',
    };
    selector.split(ends).collect()
}

/// The first operator splits.
fn operator(term: &str) -> Option<(&str, bool, &str)> {
    term.char_indices().find_map(|(at, _)| {
        let (field, rest) = term.split_at(at);
        [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find_map(|(sign, equal)| rest.strip_prefix(sign).map(|value| (field, equal, value)))
    })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!("invalid field selector: invalid escape sequence: \\{other}"));
                }
            },
            // As the number that Go prints for a character.
            ',' | '=' => {
                let number = u32::from(character);
                return Err(format!("invalid field selector: unescaped character in value: {number}"));
            }
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(selector: &str) -> bool {
        Fields::parse(selector).unwrap().choose("one")
    }

    #[test]
    fn fields_are_name_and_namespace_and_no_other() {
        assert!(chosen("") && chosen("metadata.name=one") && !chosen("metadata.name==two"));
        assert!(chosen("metadata.name!=two,metadata.namespace="));
        assert!(!chosen("metadata.name=x,metadata.name=one") && !chosen("metadata.namespace=x"));
        for (selector, message) in [
            (
                "spec.x=1",
                r#""spec.x" is not a known field selector: only "metadata.name", "metadata.namespace""#,
            ),
            ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
            ("metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
            ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ] {
            assert_eq!(Fields::parse(selector).unwrap_err(), message, "{selector}");
        }
    }

    #[test]
    fn one_name_is_a_selector_unless_another_is_asked_for() {
        let mut none = Fields::default();
        assert!(none.restrict_to("a") && none.choose("a") && !none.choose("b"));
        assert!(Fields::parse("metadata.name=a").unwrap().restrict_to("a"));
        assert!(!Fields::parse("metadata.name=b").unwrap().restrict_to("a"));
    }
}
