use super::*;

fn run_with(arguments: &[&str]) -> String {
    let all = std::iter::once(&"cluster-gateway").chain(arguments).map(OsString::from);
    match command().try_get_matches_from(arguments::normalize(all)) {
        Ok(matches) => matches.subcommand_name().unwrap_or_default().to_owned(),
        Err(error) => Error::from_clap(&error).to_string(),
    }
}

#[test]
fn every_way_in_which_charts_call_it_serves() {
    for arguments in [
        &[][..],
        &["serve", "--secure-port=9443"],
        &["apiserver", "--secure-port=9443"],
        &["--secure-port=9443"],
        &["-v", "4"],
        &["--log_dir=/tmp", "--secure_port", "9443"],
    ] {
        assert_eq!(run_with(arguments), "serve", "{arguments:?}");
    }
    assert_eq!(run_with(&["version"]), "version");
    let patch = ["--secret-namespace=a", "--secret-name=b", "--target-APIService", "v1.x"];
    assert_eq!(run_with(&[&["patch"][..], &patch].concat()), "patch");
    let called_patch = ["/patch"].iter().chain(&patch).map(OsString::from);
    let matches = command().try_get_matches_from(arguments::normalize(called_patch)).unwrap();
    let options = Patch::from_matches(matches.subcommand_matches("patch").unwrap()).unwrap();
    assert_eq!((options.secret_ca_bundle_key.as_str(), options.target_api_service.as_str()), ("ca", "v1.x"));
}

#[test]
fn what_is_not_known_is_named_in_one_line() {
    assert_eq!(
        run_with(&["--secure-prot=1"]),
        "--secure-prot is not known here, --secure-port is; see cluster-gateway serve --help"
    );
    assert_eq!(run_with(&["destroy"]), "destroy is not known here; see cluster-gateway serve --help");
    for arguments in
        [&["--secure-port=x"][..], &["serve", "again"], &["--secure-port"], &["-x"], &["--tls-min-version=1"]]
    {
        let message = run_with(arguments);
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(arguments.last().unwrap().split('=').next().unwrap()), "{message}");
    }
}

#[test]
fn the_command_is_sound() {
    command().debug_assert();
}
