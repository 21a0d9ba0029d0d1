//! Imports point downwards: a room knows those below it, so that whoever changes one knows whom it may touch.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom. Rooms on one line are siblings: they do not know each other.
const ROOMS: &[&[&str]] = &[
    &["cli"],
    &["app"],
    &["listener"],
    &["gateway"],
    &["api", "admin"],
    &["config"],
    &["clusters"],
    &["credentials", "upstream"],
    &["authn", "authz", "exchange"],
    &["reviews", "telemetry"],
    &["tls"],
    &["model"],
];

#[test]
fn imports_point_downwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let level = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let relative = file.strip_prefix(&root).unwrap();
        let Some(room) = relative.iter().next().and_then(|part| part.to_str()) else { continue };
        if relative.iter().count() == 1 {
            continue;
        }
        let own =
            level(room).unwrap_or_else(|| panic!("room {room} is not on the list: say where it belongs"));
        for other in imports(&fs::read_to_string(&file).unwrap()) {
            if other == room {
                continue;
            }
            match level(&other) {
                Some(its) if its > own => {}
                Some(_) => wrong.push(format!("{} imports {other}", relative.display())),
                None => wrong.push(format!("{} imports {other}, which is no room", relative.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_on_the_list_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let listed: BTreeSet<String> = ROOMS.iter().copied().flatten().map(|room| (*room).to_owned()).collect();
    let there: BTreeSet<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(listed, there);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of src") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rooms that a file names by `crate::ROOM`, in a `use` line or anywhere else.
fn imports(text: &str) -> BTreeSet<String> {
    text.split("crate::")
        .skip(1)
        .filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next())
        .filter(|room| !room.is_empty())
        .map(str::to_owned)
        .collect()
}
