use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use super::text;

/// Which command gives a cluster's credential: `ExecConfig` of a kubeconfig, in JSON. `Debug` shows the command only:
/// arguments and environment may hold secrets.
#[derive(Clone)]
pub struct ExecConfig {
    pub(super) version: Version,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) install_hint: Option<String>,
    /// Whether the command is told which cluster it is for.
    pub provide_cluster_info: bool,
}

/// Of `client.authentication.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V1Beta1,
}

/// Why a text is no `ExecConfig` that can be used. Repeats nothing that may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidExec {
    /// No JSON, or other types than it should have.
    #[error("it is no ExecConfig in JSON (line {line}, column {column})")]
    Json {
        /// Where reading ended.
        line: usize,
        /// And in that line.
        column: usize,
    },
    /// An API version that means nothing here.
    #[error(
        "invalid apiVersion {0:?}: it may be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"
    )]
    Version(String),
    /// No command.
    #[error("command is missing")]
    NoCommand,
    /// A path that depends on where the gateway was started.
    #[error(
        "command {0:?} is a relative path: give an absolute one, or a bare name that is looked up in PATH"
    )]
    RelativeCommand(String),
    /// Nobody is there to answer.
    #[error(
        "interactiveMode {0:?} cannot be had, as nobody is there to answer: it may be Never or IfAvailable"
    )]
    Interactive(String),
    /// A variable that cannot be set.
    #[error(
        "env has a variable that cannot be set: its name is empty or holds '=' or NUL, or its value holds NUL"
    )]
    Variable,
    /// A variable that would make another program of an allowed command.
    #[error("env sets {0}, by which any allowed command would run other code: remove it")]
    Loader(String),
    /// An argument that cannot be given.
    #[error("args has an argument with a NUL in it")]
    Argument,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    api_version: Option<String>,
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    provide_cluster_info: Option<bool>,
    interactive_mode: Option<String>,
    install_hint: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: Option<String>,
    value: Option<String>,
}

impl ExecConfig {
    /// Takes what stands in the Secret. Fields that nobody knows are passed over, as by client-go.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidExec> {
        let raw: Raw = serde_json::from_slice(json)
            .map_err(|error| InvalidExec::Json { line: error.line(), column: error.column() })?;
        let version = match raw.api_version.as_deref().unwrap_or_default() {
            "client.authentication.k8s.io/v1" => Version::V1,
            "client.authentication.k8s.io/v1beta1" => Version::V1Beta1,
            other => return Err(InvalidExec::Version(text::short(other))),
        };
        let command = raw.command.filter(|command| !command.is_empty()).ok_or(InvalidExec::NoCommand)?;
        if command.contains('\0') || (command.contains('/') && !command.starts_with('/')) {
            return Err(InvalidExec::RelativeCommand(text::short(&command)));
        }
        match raw.interactive_mode.as_deref().unwrap_or_default() {
            "" | "Never" | "IfAvailable" => {}
            other => return Err(InvalidExec::Interactive(text::short(other))),
        }
        let args = raw.args.unwrap_or_default();
        if args.iter().any(|argument| argument.contains('\0')) {
            return Err(InvalidExec::Argument);
        }
        let env = raw.env.unwrap_or_default().into_iter().map(variable).collect::<Result<_, _>>()?;
        Ok(Self {
            version,
            command,
            args,
            env,
            install_hint: raw.install_hint.filter(|hint| !hint.trim().is_empty()),
            provide_cluster_info: raw.provide_cluster_info.unwrap_or_default(),
        })
    }
}

impl Version {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "client.authentication.k8s.io/v1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }
}

fn variable(raw: Variable) -> Result<(String, String), InvalidExec> {
    let (name, value) = (raw.name.unwrap_or_default(), raw.value.unwrap_or_default());
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(InvalidExec::Variable);
    }
    // ld.so(8), and what bash(1) and sh(1) run before a script. There are more ways to lead a program astray by its
    // environment than can be listed, which is why an operator allows a command for what it is; but with these any
    // program or script at all is another one.
    const LOADERS: [&str; 7] =
        ["GLIBC_TUNABLES", "GCONV_PATH", "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "PS4"];
    if ["LD_", "BASH_FUNC_"].iter().any(|prefix| name.starts_with(prefix)) || LOADERS.contains(&&*name) {
        return Err(InvalidExec::Loader(text::short(&name)));
    }
    Ok((name, value))
}

impl fmt::Debug for ExecConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ExecConfig").field("command", &self.command).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ExecConfig, InvalidExec> {
        ExecConfig::parse(json.as_bytes())
    }

    #[test]
    fn what_kubeconfigs_hold_is_taken() {
        let config = parse(
            r#"{"apiVersion":"client.authentication.k8s.io/v1beta1","command":"aws","args":["eks","get-token"],
                "env":[{"name":"AWS_PROFILE","value":"x"}],"installHint":"Install it.\n","provideClusterInfo":true,
                "interactiveMode":"IfAvailable","somethingNew":1}"#,
        )
        .unwrap();
        assert_eq!((config.version, config.command.as_str()), (Version::V1Beta1, "aws"));
        assert_eq!(config.args, ["eks", "get-token"]);
        assert_eq!(config.env, [("AWS_PROFILE".to_owned(), "x".to_owned())]);
        assert!(config.provide_cluster_info && config.install_hint.is_some());
        let bare =
            r#"{"apiVersion":"client.authentication.k8s.io/v1","command":"/bin/x","args":null,"env":null}"#;
        assert!(parse(bare).unwrap().args.is_empty());
        assert_eq!(format!("{config:?}"), "ExecConfig { command: \"aws\", .. }");
    }

    #[test]
    fn mistakes_are_named_and_their_secrets_are_not() {
        let with = |rest: &str| format!(r#"{{"apiVersion":"client.authentication.k8s.io/v1",{rest}}}"#);
        for (json, expected) in [
            ("hunter2".to_owned(), "no ExecConfig in JSON (line 1, column 1)"),
            (with(r#""command":"x","args":"hunter2""#), "no ExecConfig in JSON (line 1"),
            (r#"{"command":"x"}"#.to_owned(), "invalid apiVersion \"\""),
            (
                r#"{"apiVersion":"client.authentication.k8s.io/v1alpha1","command":"x"}"#.to_owned(),
                "invalid apiVersion \"client.authentication.k8s.io/v1alpha1\": it may be",
            ),
            (with(r#""args":[]"#), "command is missing"),
            (with(r#""command":"bin/x""#), "\"bin/x\" is a relative path"),
            (with(r#""command":"../x""#), "\"../x\" is a relative path"),
            (with(r#""command":"x","interactiveMode":"Always""#), "\"Always\" cannot be had"),
            (with(r#""command":"x","env":[{"name":"A=B","value":"hunter2"}]"#), "env has a variable"),
            (with(r#""command":"x","env":[{"value":"hunter2"}]"#), "env has a variable"),
            (with(r#""command":"x","env":[{"name":"LD_PRELOAD","value":"hunter2"}]"#), "env sets LD_PRELOAD"),
            (with(r#""command":"x","env":[{"name":"BASH_ENV","value":"hunter2"}]"#), "env sets BASH_ENV"),
            (with(r#""command":"x","env":[{"name":"ENV","value":"hunter2"}]"#), "env sets ENV,"),
            (
                with(r#""command":"x","env":[{"name":"BASH_FUNC_cat%%","value":"() { hunter2; }"}]"#),
                "env sets BASH_FUNC_cat%%",
            ),
            (with(r#""command":"x","args":["hunter2\u0000"]"#), "NUL"),
        ] {
            let error = parse(&json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
