//! Alerts: each fires when it should, and not when it should not.

use std::collections::BTreeSet;

use e2e::lab::promtool;

use super::{config, yaml};

#[tokio::test]
async fn alerts_fire_when_they_should() {
    let folder = config("prometheus");
    promtool(&folder, &["check", "rules", "rules.yaml"], "").await.unwrap();
    promtool(&folder, &["test", "rules", "rules.test.yaml"], "").await.unwrap();
}

#[test]
fn every_alert_is_seen_to_fire_and_to_be_silent() {
    let (rules, tests) = (yaml("prometheus/rules.yaml"), yaml("prometheus/rules.test.yaml"));
    let alerts: BTreeSet<&str> = rules["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let checks = || {
        let tests = tests["tests"].as_array().unwrap().iter();
        tests.flat_map(|test| test["alert_rule_test"].as_array().unwrap())
    };
    for fires in [true, false] {
        let seen: BTreeSet<&str> = checks()
            .filter(|check| check["exp_alerts"].as_array().unwrap().is_empty() != fires)
            .map(|check| check["alertname"].as_str().unwrap())
            .collect();
        assert_eq!(seen, alerts, "fires: {fires}");
    }
}
