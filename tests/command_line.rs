//! The binary's own behaviour: how it ends, and what it prints.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cluster-gateway")).args(arguments).output().expect("the binary runs")
}

#[test]
fn what_is_wrong_is_one_line_and_exit_code_2() {
    for (arguments, line) in [
        (
            &["--secure-prot=9443"][..],
            "cluster-gateway: --secure-prot is not known here, --secure-port is; see cluster-gateway serve --help",
        ),
        (
            &["serve", "--client-ca-file=/does/not/exist", "--cert-dir=/proc"],
            "cluster-gateway: --client-ca-file=/does/not/exist: No such file or directory (os error 2); name a file that exists, or mount it there",
        ),
        (
            &["apiserver", "--secure-port=many"],
            "cluster-gateway: --secure-port=many: invalid digit found in string; see cluster-gateway serve --help for what it takes",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), line);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for (arguments, contents) in [
        (&["--help"][..], "serve"),
        (&["serve", "--help"], "--secret-namespace <NAMESPACE>"),
        (&["version"], env!("CARGO_PKG_VERSION")),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains(contents), "{arguments:?}");
    }
}
