use std::fmt::Write;

use crate::model::{Details, Reason, RequestInfo, Status};

/// 403 as kube-apiserver words it (k8s.io/apiserver `ForbiddenStatusError`, apimachinery `NewForbidden`).
pub(super) fn forbidden(user: &str, attributes: &RequestInfo<'_>, reason: &str) -> Status {
    let RequestInfo { api_group: group, resource, name, .. } = attributes;
    let mut message = String::new();
    if !(group.is_empty() && resource.is_empty()) {
        message.push_str(resource);
        if !group.is_empty() {
            message.push('.');
            message.push_str(group);
        }
        if !name.is_empty() {
            message.push(' ');
            message.push_str(&quote(name));
        }
        message.push_str(" is ");
    }
    message.push_str("forbidden: ");
    message.push_str(&sanitize(&sentence(user, attributes)));
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Status::new(Reason::Forbidden, message).with_details(Details {
        name: name.clone().into_owned(),
        group: (*group).to_owned(),
        kind: (*resource).to_owned(),
        ..Details::default()
    })
}

fn sentence(user: &str, attributes: &RequestInfo<'_>) -> String {
    let (user, verb) = (quote(user), &attributes.verb);
    if !attributes.is_resource {
        return format!("User {user} cannot {verb} path {}", quote(attributes.path));
    }
    let resource = match attributes.subresource {
        "" => quote(attributes.resource),
        subresource => quote(&format!("{}/{subresource}", attributes.resource)),
    };
    let group = quote(attributes.api_group);
    let place = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {}", quote(namespace)),
    };
    format!("User {user} cannot {verb} resource {resource} in API group {group} {place}")
}

/// Against browsers that take an error for HTML, as kube-apiserver does.
fn sanitize(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As Go's `%q`.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let printable = !matches!(character.escape_debug().next(), Some('\\'));
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push('\''),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            character if printable => quoted.push(character),
            // Writing into a String cannot fail.
            character => {
                let code = u32::from(character);
                let _ = match code {
                    0..0x80 => write!(quoted, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn body(user: &str, method: &Method, path: &str, reason: &str) -> String {
        let status = forbidden(user, &RequestInfo::parse(method, path, None), reason);
        String::from_utf8(status.to_json()).unwrap()
    }

    #[test]
    fn bodies_are_those_of_kube_apiserver() {
        let gateway = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
        let rows = [
            (
                body("bob", &Method::GET, &format!("{gateway}/foo/proxy"), ""),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"clustergateways.cluster.core.oam.dev \"foo\" is forbidden: User \"bob\" cannot get resource \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope","reason":"Forbidden","details":{"name":"foo","group":"cluster.core.oam.dev","kind":"clustergateways"},"code":403}"#,
            ),
            (
                body("bob", &Method::GET, gateway, "no way"),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"clustergateways.cluster.core.oam.dev is forbidden: User \"bob\" cannot list resource \"clustergateways\" in API group \"cluster.core.oam.dev\" at the cluster scope: no way","reason":"Forbidden","details":{"group":"cluster.core.oam.dev","kind":"clustergateways"},"code":403}"#,
            ),
            (
                body("a<b>", &Method::DELETE, "/api/v1/namespaces/n/pods/p", ""),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"p\" is forbidden: User \"a\u0026lt;b\u0026gt;\" cannot delete resource \"pods\" in API group \"\" in the namespace \"n\"","reason":"Forbidden","details":{"name":"p","kind":"pods"},"code":403}"#,
            ),
            (
                body("x", &Method::GET, "/metrics", ""),
                r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"x\" cannot get path \"/metrics\"","reason":"Forbidden","details":{},"code":403}"#,
            ),
        ];
        for (body, expected) in rows {
            assert_eq!(body.trim_end(), expected);
        }
    }

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(quote("o'neil \"x\" \\ ü\t\u{0}\u{7f}\u{200b}"), r#""o'neil \"x\" \\ ü\t\x00\x7f\u200b""#);
    }
}
