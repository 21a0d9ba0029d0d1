use std::ffi::OsString;
use std::path::Path;

/// The program's other name in the image of the Go gateway, `/patch`, by which charts run the subcommand.
const PATCH: &str = "patch";

/// Makes of the arguments what existing charts mean by them: flags without a subcommand, or nothing at all, mean
/// `serve`, or `patch` where the program is called so, and `_` in a flag's name is `-`, as in klog's and in Kubernetes' own flag parsing.
pub(super) fn normalize(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().map(dashes).collect();
    if arguments.is_empty() {
        arguments.push("cluster-gateway".into());
    }
    if Path::new(&arguments[0]).file_name().is_some_and(|name| name == PATCH) {
        arguments.insert(1, PATCH.into());
        return arguments;
    }
    let about_the_program = ["-h", "--help", "-V", "--version"];
    let serves = match arguments.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) => first.starts_with('-') && !about_the_program.contains(&&*first),
    };
    if serves {
        arguments.insert(1, "serve".into());
    }
    arguments
}

fn dashes(argument: OsString) -> OsString {
    let Some(text) = argument.to_str().filter(|text| text.starts_with("--")) else { return argument };
    match text.split_once('=') {
        Some((name, value)) if name.contains('_') => format!("{}={value}", name.replace('_', "-")).into(),
        None if text.contains('_') => text.replace('_', "-").into(),
        _ => argument,
    }
}
