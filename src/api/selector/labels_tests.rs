use proptest::prelude::*;

use super::*;

fn chosen(selector: &str) -> Result<bool, String> {
    let labels = [("env", "prod"), ("tier", "3"), ("example.com/team", "a"), ("none-of-it", "")];
    let find = |key: &str| labels.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    Ok(Labels::parse(selector)?.choose(find))
}

#[test]
fn labels_are_selected_as_kubernetes_selects_them() {
    for selector in [
        "",
        "env",
        "env=prod",
        "env==prod",
        "env!=test",
        "!none",
        "none!=x",
        "env in (test, prod)",
        "env notin (a,b),tier=3",
        "none notin (a)",
        "tier>2",
        "tier<4",
        "example.com/team=a",
        "env in(prod),tier in (3,4)",
        "none-of-it=",
        "none-of-it in (,a)",
        "none-of-it in ()",
        " env , tier ",
        "in notin (in)",
    ] {
        assert_eq!(chosen(selector), Ok(true), "{selector}");
    }
    for selector in [
        "none",
        "env=test",
        "env!=prod",
        "!env",
        "env in (a)",
        "env notin (prod)",
        "tier>3",
        "env=prod,tier=4",
        "env=",
        "env>1",
        "none-of-it notin (,)",
    ] {
        assert_eq!(chosen(selector), Ok(false), "{selector}");
    }
}

#[test]
fn selectors_that_cannot_be_read_are_refused_in_the_words_of_kubernetes() {
    let word =
        "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    for (selector, message) in [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=(b", "unable to parse requirement: found '(', expected: identifier"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("a,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
    ] {
        assert_eq!(chosen(selector).unwrap_err(), message, "{selector}");
    }
    for (selector, begin) in [
        ("a/b/c", format!("unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key must consist of {word} (e.g.")),
        ("-a", format!("unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of {word} (e.g.")),
        ("A_/x", "unable to parse requirement: <nil>: Invalid value: \"A_/x\": prefix part a lowercase RFC 1123 subdomain".to_owned()),
        ("/x", "unable to parse requirement: <nil>: Invalid value: \"/x\": prefix part must be non-empty".to_owned()),
        ("a=-x", "unable to parse requirement: values[0][a]: Invalid value: \"-x\": a valid label must be an empty string or".to_owned()),
    ] {
        let message = chosen(selector).unwrap_err();
        assert!(message.starts_with(&begin), "{selector}: {message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "[a-b/!=<>(), \\-in]{0,24}|\\PC{0,12}") {
        let _ = chosen(&text);
    }
}
