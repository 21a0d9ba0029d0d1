//! Counts the instructions of our own code for a proxied request, under valgrind: unlike times they are the same on a
//! busy machine, so that a slow-down of a few percent shows. `make bench-instructions` compares with
//! `instructions.txt` beside this file and fails where more are needed; `SAVE=1` writes it, for a change to show in
//! review.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use hot_path::{Hop, Line, Stages};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// How often each is done while it is counted.
const TIMES: u64 = 200;
/// What may be lost without being told apart from chance: another hash key is another number of collisions.
const TOLERANCE: f64 = 0.03;

const BARE: &str = "bare hop";
const GATEWAY: &str = "gateway";
const OURS: &str = "ours: gateway less bare hop";

fn main() -> ExitCode {
    // cargo passes `--bench`, and whoever counts itself passes what is to be counted.
    let result = match env::args().skip_while(|argument| argument != "--count").nth(1) {
        Some(name) => {
            count(&name);
            Ok(ExitCode::SUCCESS)
        }
        None => report(),
    };
    result.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        ExitCode::FAILURE
    })
}

/// Runs under valgrind, which counts inside of [`counted`] only.
fn count(name: &str) {
    match name {
        BARE => count_hop(Hop::Bare),
        GATEWAY => count_hop(Hop::Gateway),
        _ => {
            let step = Stages::ALL.iter().find(|(known, _)| *known == name).expect("a stage").1;
            let mut stages = Stages::new();
            (0..TIMES).for_each(|_| step(&mut stages));
            counted(|| (0..TIMES).for_each(|_| step(&mut stages)));
        }
    }
}

fn count_hop(hop: Hop) {
    let mut line = Line::through(hop);
    counted(|| line.ask(usize::try_from(TIMES).expect("a small number")));
}

#[inline(never)]
fn counted(mut work: impl FnMut()) {
    work();
    // So that this is a call, whose return can be seen.
    std::hint::black_box(());
}

fn report() -> Result<ExitCode, String> {
    let version = Command::new("valgrind").arg("--version").output();
    if matches!(&version, Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Err(
            "instructions cannot be counted: there is no valgrind (apt-get install valgrind)".to_owned()
        );
    }
    let names = Stages::ALL.iter().map(|(name, _)| *name).chain([BARE, GATEWAY]);
    let mut counts =
        names.map(|name| Ok((name, under_valgrind(name)?))).collect::<Result<Vec<_>, String>>()?;
    let of = |wanted: &str| counts.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, count)| *count);
    let ours = of(GATEWAY).saturating_sub(of(BARE));
    counts.push((OURS, ours));
    if env::var("SAVE").is_ok_and(|save| save == "1") {
        let lines = counts.iter().map(|(name, count)| format!("{count:>8} {name}\n"));
        let text = "# Instructions per request: make bench-instructions SAVE=1\n".to_owned()
            + &lines.collect::<String>();
        fs::write(BASELINE, text).map_err(|error| format!("{BASELINE}: {error}"))?;
    }
    let text = match fs::read_to_string(BASELINE) {
        Ok(text) => text,
        // Nothing to compare with yet: SAVE=1 makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{BASELINE}: {error}")),
    };
    Ok(compare(&counts, &baseline(&text)))
}

/// Instructions for one of what is named.
fn under_valgrind(name: &str) -> Result<u64, String> {
    let out = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*instructions::counted*", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.path().display()))
        .arg(env::current_exe().map_err(|error| error.to_string())?)
        .args(["--count", name])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    total(out.path()).map(|total| total / TIMES).ok_or_else(|| format!("{name}: nothing was counted"))
}

fn total(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|total| *total > 0)
}

fn baseline(text: &str) -> BTreeMap<&str, u64> {
    let rows = text.lines().filter_map(|line| line.trim().split_once(' '));
    rows.filter_map(|(count, name)| Some((name, count.parse().ok()?))).collect()
}

fn compare(counts: &[(&str, u64)], before: &BTreeMap<&str, u64>) -> ExitCode {
    println!("{:<30} {:>8} {:>8}", "instructions per request", "before", "now");
    let mut worse = false;
    for (name, count) in counts {
        let Some(old) = before.get(name) else {
            println!("{name:<30} {:>8} {count:>8}", "");
            continue;
        };
        let change = *count as f64 / *old as f64 - 1.0;
        let is_worse = change > TOLERANCE;
        worse |= is_worse;
        let mark = if is_worse { "  more than before" } else { "" };
        println!("{name:<30} {old:>8} {count:>8} {:>+6.1} %{mark}", change * 100.0);
    }
    if worse {
        println!("If that is what it takes: SAVE=1, and say why where you commit it.");
    }
    if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
