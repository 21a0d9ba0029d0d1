use std::os::unix::fs::symlink;

use serde_json::json;

use crate::credentials::exec::testing::Script;

use super::*;

fn entry(text: impl ToString) -> AllowedCommand {
    text.to_string().parse().unwrap()
}

fn check(entries: &[AllowedCommand], config: &ExecConfig) -> Result<PathBuf, ExecError> {
    Allowed::new(entries.to_vec()).check(config)
}

fn refused(config: &ExecConfig) -> (String, String) {
    match check(&[], config).unwrap_err() {
        ExecError::NotAllowed { path, sha256, .. } => (path, sha256),
        other => panic!("{other}"),
    }
}

#[test]
fn entries_are_absolute_paths_and_hashes() {
    let hash = "AB".repeat(32);
    assert_eq!(entry(format!("sha256:{hash}")), AllowedCommand::Sha256([0xab; 32]));
    assert_eq!(entry(format!("sha256:{hash}")).to_string(), format!("sha256:{}", "ab".repeat(32)));
    assert_eq!(entry("/usr/bin/aws").to_string(), "/usr/bin/aws");
    for bad in ["aws", "./aws", "", "sha256:", "sha256:ab", &format!("sha256:+{}", "a".repeat(63)), &hash] {
        assert_eq!(bad.parse::<AllowedCommand>(), Err(InvalidAllowed::Form), "{bad}");
    }
}

#[test]
fn nothing_is_allowed_that_is_not_listed_and_the_refusal_names_both_entries_that_would_allow_it() {
    let script = Script::new("true");
    let config = script.config(json!({}));
    let (path, sha256) = refused(&config);
    let message = check(&[entry("/bin/true")], &config).unwrap_err().to_string();
    let written = script.path().display();
    assert_eq!(
        message,
        format!(
            "exec: command {written} is not allowed: to allow it start the gateway with \
             --exec-allowed={written} or with --exec-allowed=sha256:{sha256}"
        )
    );
    for listed in [entry(path), entry(format!("sha256:{sha256}"))] {
        assert_eq!(check(&[entry("/bin/true"), listed], &config).unwrap(), script.path());
    }
}

#[test]
fn a_file_that_is_changed_is_not_the_one_whose_hash_is_allowed() {
    let script = Script::new("true");
    let config = script.config(json!({}));
    let allowed = Allowed::new(vec![entry(format!("sha256:{}", refused(&config).1))]);
    assert!(allowed.check(&config).is_ok() && allowed.check(&config).is_ok());
    script.replace("false");
    assert!(matches!(allowed.check(&config), Err(ExecError::NotAllowed { .. })));
    script.replace("true");
    assert!(allowed.check(&config).is_ok());
}

#[test]
fn an_entry_may_name_a_link_or_what_it_links_to_but_one_link_does_not_allow_another() {
    let script = Script::new("true");
    let (link, other) = (script.folder().join("link"), script.folder().join("other"));
    symlink(script.path(), &link).unwrap();
    symlink(script.path(), &other).unwrap();
    let by = |path: &Path| script.config(json!({"command": path}));
    assert!(check(&[entry(link.display())], &by(&link)).is_ok());
    assert!(check(&[entry(script.path().display())], &by(&link)).is_ok());
    let refused = check(&[entry(link.display())], &by(&other)).unwrap_err().to_string();
    assert!(refused.contains(&format!("--exec-allowed={}", other.display())), "{refused}");
    let roundabout = script.folder().join("x/../plugin");
    assert!(matches!(check(&[], &by(&roundabout)), Err(ExecError::NotFound { .. })));
    fs::create_dir(script.folder().join("x")).unwrap();
    assert!(check(&[entry(script.path().display())], &by(&roundabout)).is_ok());
}

#[test]
fn a_bare_name_is_looked_up_in_path_and_what_is_not_there_comes_with_its_hint() {
    let script = Script::new("true");
    let by = |command: &str| script.config(json!({"command": command, "installHint": "Get it from\nhere."}));
    let (path, _) = refused(&by("sh"));
    assert!(path.ends_with("/sh") && path.starts_with('/'), "{path}");
    assert!(check(&[entry(&path)], &by("sh")).is_ok());
    let missing = check(&[], &by("no-such-command")).unwrap_err().to_string();
    assert_eq!(missing, "exec: executable no-such-command not found: Get it from here.");
    let plain = script.folder().join("plain");
    fs::write(&plain, "x").unwrap();
    for not_a_program in [script.folder(), &plain] {
        let config = by(&not_a_program.to_string_lossy());
        assert!(matches!(check(&[], &config), Err(ExecError::NotFound { .. })));
    }
    assert_eq!(entry(plain.display()).problem(), Some("it is no file that can be executed"));
    assert_eq!(entry("/no/such/file").problem(), Some("there is no such file"));
    assert_eq!(entry(script.path().display()).problem(), None);
}
