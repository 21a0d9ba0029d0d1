//! Reads an Accept header as kube-apiserver does: github.com/munnerz/goautoneg, whose order of clauses, and what it
//! overlooks (`q=0`, capitals), clients have come to rely on.

/// Nobody who means it sends more; the sort below is quadratic.
const MOST: usize = 64;

/// One clause of an Accept header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f64,
    /// Everything behind the type but `q`.
    pub(super) parameters: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    /// Whether a media type (`application`, `json`) is meant.
    pub(super) fn covers(&self, kind: &str, subtype: &str) -> bool {
        match (self.kind, self.subtype) {
            ("*", "*") => true,
            (own, "*") => own == kind,
            (own, sub) => own == kind && sub == subtype,
        }
    }

    fn before(&self, other: &Self) -> bool {
        self.quality > other.quality
            || (self.kind != "*" && other.kind == "*")
            || (self.subtype != "*" && other.subtype == "*")
    }
}

/// The clauses, the ones to be tried first in front.
pub(super) fn parse(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(clause).take(MOST).collect();
    // Go's sort of a dozen elements, which matters because the order above is none (a wildcard of better quality is
    // before and behind a type that is named).
    for end in 1..clauses.len() {
        let mut at = end;
        while at > 0 && clauses[at].before(&clauses[at - 1]) {
            clauses.swap(at, at - 1);
            at -= 1;
        }
    }
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
    let mut parts = media.split('/').map(|part| part.trim_matches(' '));
    let (kind, subtype) = match (parts.next()?, parts.next().filter(|part| !part.is_empty()), parts.next()) {
        ("*", None, None) => ("*", "*"),
        (kind, Some(subtype), None) => (kind, subtype),
        _ => return None,
    };
    let mut clause = Clause { kind, subtype, quality: 1.0, parameters: Vec::new() };
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if value.is_empty() || value.contains('=') {
            continue;
        }
        match name.trim_matches(' ') {
            "q" => clause.quality = value.parse().unwrap_or(0.0),
            name => clause.parameters.push((name, value.trim_matches(' '))),
        }
    }
    Some(clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(header: &str) -> Vec<String> {
        parse(header).iter().map(|clause| format!("{}/{}", clause.kind, clause.subtype)).collect()
    }

    #[test]
    fn the_better_and_the_more_exact_clause_goes_first() {
        assert_eq!(order("a/b;q=0.5,c/d"), ["c/d", "a/b"]);
        assert_eq!(order("*/*,a/*,a/b"), ["a/b", "a/*", "*/*"]);
        assert_eq!(order("a/b,c/d"), ["a/b", "c/d"]);
        assert_eq!(order("*"), ["*/*"]);
    }

    #[test]
    fn what_is_no_media_type_is_left_out() {
        assert_eq!(order("a, a/b/c, ,x/y"), ["x/y"]);
        let clauses = parse("a/b; as=Table ;v;g=x=y; q=zz");
        assert_eq!(clauses[0].parameters, [("as", "Table")]);
        assert_eq!(clauses[0].quality, 0.0);
    }

    #[test]
    fn wildcards_cover_what_they_say() {
        let covers = |header: &str| parse(header)[0].covers("application", "json");
        assert!(covers("*/*") && covers("application/*") && covers("application/json"));
        assert!(!covers("text/*") && !covers("application/yaml") && !covers("Application/JSON"));
    }
}
