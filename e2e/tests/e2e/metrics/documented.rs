//! METRICS.md says what there is, and nothing else.

use std::collections::BTreeMap;

use e2e::lab::{promtool, shared};

use super::traffic::Traffic;
use super::{Found, config, found, names, samples, yaml};

#[tokio::test]
async fn every_metric_is_documented_well_named_and_in_use() {
    let traffic = Traffic::start(shared().await.hub(), "metrics-documented").await;
    let text = traffic.scrape().await.unwrap();
    let said = promtool(&config("."), &["check", "metrics"], &text).await.unwrap();
    assert_eq!(said.trim(), "", "promtool has something to say");
    let found = found(&text).unwrap();
    let documented = documented();
    let missing: Vec<_> = documented.iter().filter(|(name, _)| !found.contains_key(*name)).collect();
    assert!(missing.is_empty(), "documented and not there: {missing:?}\n{text}");
    for (name, found) in &found {
        assert_eq!(documented.get(name), Some(found), "METRICS.md about {name}, on the left");
    }
    let samples = samples(&text);
    for (place, expression) in used() {
        for name in names(&expression) {
            assert!(samples.contains(name.as_str()), "{place} uses {name}, which there is not");
        }
    }
}

/// The table of METRICS.md.
fn documented() -> BTreeMap<String, Found> {
    let text = std::fs::read_to_string(config("../METRICS.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next()?.strip_suffix('`')?.to_owned();
        let kind = cells.next()?.to_owned();
        let labels =
            cells.next().unwrap_or_default().split('`').filter(|word| word.starts_with(char::is_alphabetic));
        Some((name, Found { kind, labels: labels.map(str::to_owned).collect() }))
    });
    let table: BTreeMap<_, _> = rows.collect();
    assert!(table.len() > 40, "{table:?}");
    table
}

/// Where names of metrics are used, and the expressions.
fn used() -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut used = Vec::new();
    for group in yaml("prometheus/rules.yaml")["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            used.push((text(&rule["alert"]), text(&rule["expr"])));
        }
    }
    for test in yaml("prometheus/rules.test.yaml")["tests"].as_array().unwrap() {
        for series in test["input_series"].as_array().unwrap() {
            used.push((format!("the test {}", test["name"]), text(&series["series"])));
        }
    }
    for (panel, expression) in super::scraped::panels() {
        used.push((format!("the panel {panel}"), expression));
    }
    used
}
