use regex::Regex;
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use super::rules::{Action, Rule, Source};
use super::{Headers, NotAHeader, Rules};

const KIND: &str = "ClusterGatewayProxyConfiguration";
const VERSION: &str = "v1alpha1";

/// Why a text is no set of rules. One of them that is wrong makes all of them void: leaving it out would match others
/// than were meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRules {
    /// Not YAML, or not of this form.
    #[error("it is no {KIND}: {0}")]
    Form(String),
    /// Something else's configuration.
    #[error("its {field} is {value:?}, but {KIND} of version {VERSION} is read")]
    Kind {
        /// `kind` or `apiVersion`.
        field: &'static str,
        /// What stands there.
        value: String,
    },
    /// A type that does not exist.
    #[error(
        "rule {rule}: type {value:?} is none of PrivilegedIdentityExchanger, StaticMappingIdentityExchanger, \
         ExternalIdentityExchanger"
    )]
    Type {
        /// The rule's name, or its place.
        rule: String,
        /// What stands there.
        value: String,
    },
    /// A field that the rule's type needs.
    #[error("rule {rule}: {field} is missing")]
    Missing {
        /// The rule's name, or its place.
        rule: String,
        /// The field.
        field: &'static str,
    },
    /// Not a regular expression.
    #[error("rule {rule}: {field} is no regular expression: {reason}")]
    Pattern {
        /// The rule's name, or its place.
        rule: String,
        /// The field.
        field: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// A target that could not be impersonated.
    #[error("rule {rule}: target: {reason}")]
    Target {
        /// The rule's name, or its place.
        rule: String,
        /// Why.
        reason: NotAHeader,
    },
}

impl Rules {
    /// Reads a `ClusterGatewayProxyConfiguration`: YAML or JSON, as a file or as a cluster's annotation
    /// `cluster.core.oam.dev/cluster-gateway-proxy-configuration`. Blank text has no rules; `kind` and `apiVersion`
    /// may be left out, as the reference does not look at them.
    pub fn parse(yaml: &str) -> Result<Self, InvalidRules> {
        if yaml.trim().is_empty() {
            return Ok(Self::default());
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let file: File = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| InvalidRules::Form(one_line(&error.to_string())))?;
        if let Some(kind) = file.kind.filter(|kind| kind != KIND) {
            return Err(InvalidRules::Kind { field: "kind", value: kind });
        }
        let is_ours =
            |version: &String| version.split_once('/').is_some_and(|(_, version)| version == VERSION);
        if let Some(version) = file.api_version.filter(|version| !is_ours(version)) {
            return Err(InvalidRules::Kind { field: "apiVersion", value: version });
        }
        let exchanger = file.spec.and_then(|spec| spec.client_identity_exchanger).unwrap_or_default();
        exchanger
            .rules
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, rule)| rule.compile(index + 1))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(rename = "metadata")]
    _metadata: Option<IgnoredAny>,
    spec: Option<SpecForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SpecForm {
    client_identity_exchanger: Option<ExchangerForm>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ExchangerForm {
    rules: Option<Vec<RuleForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    source: Option<SourceForm>,
    target: Option<TargetForm>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SourceForm {
    user: Option<String>,
    group: Option<String>,
    uid: Option<String>,
    cluster: Option<String>,
    user_pattern: Option<String>,
    group_pattern: Option<String>,
    cluster_pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetForm {
    user: Option<String>,
    groups: Option<Vec<String>>,
    uid: Option<String>,
}

impl RuleForm {
    fn compile(self, number: usize) -> Result<Rule, InvalidRules> {
        let name = match self.name {
            Some(name) if !name.is_empty() => name,
            _ => format!("#{number}"),
        };
        let missing = |field| InvalidRules::Missing { rule: name.clone(), field };
        let action = match self.kind.as_deref() {
            Some("PrivilegedIdentityExchanger") => Action::Privileged,
            Some("StaticMappingIdentityExchanger") => {
                let target = self.target.ok_or_else(|| missing("target"))?;
                // Without a name the reference impersonates nobody and acts with the cluster's credential.
                let user =
                    target.user.filter(|user| !user.is_empty()).ok_or_else(|| missing("target.user"))?;
                let (groups, uid) = (target.groups.unwrap_or_default(), target.uid.unwrap_or_default());
                let headers = Headers::of_target(&user, &groups, &uid);
                Action::Static(headers.map_err(|reason| InvalidRules::Target { rule: name.clone(), reason })?)
            }
            Some("ExternalIdentityExchanger") => {
                self.url.filter(|url| !url.is_empty()).ok_or_else(|| missing("url"))?;
                Action::External
            }
            Some(other) => return Err(InvalidRules::Type { rule: name, value: other.to_owned() }),
            None => return Err(missing("type")),
        };
        let source = self.source.map(|source| source.compile(&name)).transpose()?;
        Ok(Rule { name, source, action })
    }
}

impl SourceForm {
    fn compile(self, rule: &str) -> Result<Source, InvalidRules> {
        let pattern = |field, pattern: Option<String>| {
            pattern.map(|pattern| Regex::new(&pattern)).transpose().map_err(|error| InvalidRules::Pattern {
                rule: rule.to_owned(),
                field,
                reason: one_line(&error.to_string()),
            })
        };
        Ok(Source {
            user: self.user,
            group: self.group,
            uid: self.uid,
            cluster: self.cluster,
            user_pattern: pattern("source.userPattern", self.user_pattern)?,
            group_pattern: pattern("source.groupPattern", self.group_pattern)?,
            cluster_pattern: pattern("source.clusterPattern", self.cluster_pattern)?,
        })
    }
}

/// Parsers draw pictures; a log line and a Status have no place for them.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::User;

    fn file(rules: &str) -> String {
        format!(
            "apiVersion: cluster.core.oam.dev/v1alpha1\nkind: {KIND}\nspec:\n  clientIdentityExchanger:\n    \
             rules:\n{rules}"
        )
    }

    #[test]
    fn a_file_of_the_references_form_is_read_in_order() {
        let rules = Rules::parse(&file(
            r#"
    - name: super-user
      type: PrivilegedIdentityExchanger
      source: {user: kubernetes-admin}
    - name: mapped
      type: StaticMappingIdentityExchanger
      source: {userPattern: "^system:serviceaccount:", clusterPattern: "^prod-"}
      target: {user: mapped, groups: [a, b], uid: "7"}
    - name: outside
      type: ExternalIdentityExchanger
      source: {group: guests}
      url: https://exchange.example
"#,
        ))
        .unwrap();
        let matching = |user: &str, group: &str, cluster: &str| {
            rules.matching(&User::new(user, [group]), cluster).map(|rule| rule.name.as_str())
        };
        assert_eq!(rules.len(), 3);
        assert_eq!(matching("kubernetes-admin", "guests", "any"), Some("super-user"));
        assert_eq!(matching("system:serviceaccount:a:b", "x", "prod-1"), Some("mapped"));
        assert_eq!(matching("system:serviceaccount:a:b", "x", "my-prod-1"), None);
        assert_eq!(matching("u", "guests", "c"), Some("outside"));
        assert_eq!(matching("u", "guest", "c"), None);
    }

    #[test]
    fn all_that_a_source_sets_must_match_and_without_one_nobody_does() {
        let rule = |source: &str| {
            let yaml = file(&format!("    - {{name: r, type: PrivilegedIdentityExchanger{source}}}\n"));
            let rules = Rules::parse(&yaml).unwrap();
            let mut user = User::new("alice", ["dev", "ops"]);
            user.uid = "7".into();
            rules.matching(&user, "c1").is_some()
        };
        for matching in [
            ", source: {}",
            ", source: {user: alice, group: ops, uid: \"7\", cluster: c1}",
            ", source: {userPattern: lic, groupPattern: ^o, clusterPattern: \"1$\"}",
        ] {
            assert!(rule(matching), "{matching}");
        }
        for other in [
            "",
            ", source: null",
            ", source: {user: alice, group: none}",
            ", source: {user: bob, group: ops}",
            ", source: {uid: \"8\"}",
            ", source: {cluster: c}",
            ", source: {userPattern: ^lic}",
            ", source: {groupPattern: ^ps}",
            ", source: {user: alice, clusterPattern: ^d}",
        ] {
            assert!(!rule(other), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_followed_names_rule_and_field() {
        let error = |rules: &str| Rules::parse(&file(rules)).unwrap_err().to_string();
        let rows = [
            ("    - {name: r, type: Nonsense}\n", "rule r: type \"Nonsense\" is none of"),
            ("    - {type: Nonsense}\n", "rule #1: type"),
            ("    - {name: r}\n", "rule r: type is missing"),
            ("    - {name: r, type: StaticMappingIdentityExchanger}\n", "rule r: target is missing"),
            (
                "    - {name: r, type: StaticMappingIdentityExchanger, target: {groups: [a]}}\n",
                "rule r: target.user is missing",
            ),
            (
                "    - {name: r, type: StaticMappingIdentityExchanger, target: {user: \"a\\nb\"}}\n",
                "rule r: target: the user's name cannot be shown",
            ),
            ("    - {name: r, type: ExternalIdentityExchanger}\n", "rule r: url is missing"),
            (
                "    - {name: r, type: PrivilegedIdentityExchanger, source: {userPattern: \"(\"}}\n",
                "rule r: source.userPattern is no regular expression",
            ),
            ("    - {name: r, type: PrivilegedIdentityExchanger, sourc: {}}\n", "it is no Cluster"),
            ("    - {name: r, type: PrivilegedIdentityExchanger, source: {usr: a}}\n", "it is no Cluster"),
        ];
        for (rules, expected) in rows {
            let error = error(rules);
            assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        for (text, field) in [("kind: Config\n", "kind"), ("apiVersion: v1\n", "apiVersion")] {
            match Rules::parse(text) {
                Err(InvalidRules::Kind { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(Rules::parse("- a\n"), Err(InvalidRules::Form(_))));
        assert!(matches!(Rules::parse("spec: [\n"), Err(InvalidRules::Form(_))));
        for none in ["", " \n", "metadata: {name: x}\n", "spec: {}\n", &file("")] {
            assert!(Rules::parse(none).unwrap().is_empty(), "{none:?}");
        }
        assert!(Rules::parse("spec: {clientIdentityExchanger: {rules: []}}").unwrap().is_empty());
    }
}
