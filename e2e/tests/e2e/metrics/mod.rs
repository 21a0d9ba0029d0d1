//! What is told of a running gateway to Prometheus: that it is well formed, complete and documented, what alerts and
//! dashboard make of it, and that nobody can make it grow.

mod built_in;
mod documented;
mod flood;
mod many;
mod options;
mod rules;
mod scraped;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Where the project's samples are.
fn config(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config")).join(path)
}

/// A YAML file of the project.
fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(config(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// The names that an expression of PromQL takes from a gateway.
fn names(expression: &str) -> BTreeSet<String> {
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    expression
        .split(|letter| !is_of_a_name(letter))
        .filter(|word| {
            ["cluster_gateway_", "ocm_proxy_", "process_"].iter().any(|start| word.starts_with(start))
        })
        .map(str::to_owned)
        .collect()
}

/// What a scrape holds of a metric.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    kind: String,
    labels: BTreeSet<String>,
}

/// The metrics of a scrape that have samples. Its form has been checked by promtool.
fn found(text: &str) -> Result<BTreeMap<String, Found>> {
    let mut kinds = BTreeMap::new();
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
            family = name;
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').context("no value")?;
            let labels = series.split_once('{').map_or("", |(_, labels)| labels);
            let metric = found.entry(family.to_owned()).or_default();
            metric.kind = (*kinds.get(family).context("no type")?).to_owned();
            let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
            metric.labels.extend(labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
        }
    }
    Ok(found)
}

/// The names of samples in a scrape: a histogram has three.
fn samples(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap_or_default()).collect()
}
