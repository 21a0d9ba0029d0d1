//! What is called something else on the other side.

use super::peer::{Peer, Place};
use super::row::{CUSTOM_GROUP, GROUP};

/// Everything that has another name on the other side.
pub(super) fn renamed(text: &str, peer: Peer) -> String {
    let mut text = text.replace(CUSTOM_GROUP, GROUP);
    for (theirs, ours) in
        [("DifferentialExampleCom", "ClusterCoreOamDev"), ("differentialExampleCom", "clusterCoreOamDev")]
    {
        text = text.replace(theirs, ours);
    }
    if peer.is_built_in() {
        let Place { plural, kind, api_version, .. } = peer.place();
        if let Some((group, _)) = api_version.split_once('/') {
            text = text.replace(&api_version, &Place::ours().api_version).replace(group, GROUP);
            text = text
                .replace(plural, "clustergateways")
                .replace("in version \\\"v1\\\"", "in version \\\"v1alpha1\\\"");
            text = text.replace("\"version\":\"v1\"", "\"version\":\"v1alpha1\"");
            text = text.replace("\"version\": \"v1\"", "\"version\": \"v1alpha1\"");
            text = text.replace("version: v1\n", "version: v1alpha1\n");
        }
        const OURS: &str = "\"group\":\"cluster.core.oam.dev\",\"kind\":";
        for (theirs, ours) in [
            (format!("{plural} \\\""), "clustergateways.cluster.core.oam.dev \\\"".to_owned()),
            (format!("\"kind\":\"{plural}\""), format!("{OURS}\"clustergateways\"")),
            // Indented, and in YAML.
            (
                format!("\"kind\": \"{plural}\""),
                "\"group\": \"cluster.core.oam.dev\",\n    \"kind\": \"clustergateways\"".to_owned(),
            ),
            (
                format!("  kind: {plural}\n"),
                "  group: cluster.core.oam.dev\n  kind: clustergateways\n".to_owned(),
            ),
            (format!("message: {plural} \""), "message: clustergateways.cluster.core.oam.dev \"".to_owned()),
            (
                format!("\"name\":\"one\",\"kind\":\"{kind}\""),
                format!("\"name\":\"one\",{OURS}\"ClusterGateway\""),
            ),
            (
                format!("{kind} \\\"one\\\" is invalid"),
                "ClusterGateway.cluster.core.oam.dev \\\"one\\\" is invalid".to_owned(),
            ),
            (format!("type {kind})"), "type ClusterGateway)".to_owned()),
            (format!("as a {kind}:"), "as a ClusterGateway:".to_owned()),
            (format!("field {kind}."), "field ClusterGateway.".to_owned()),
            (
                format!("{kind} in version \\\"v1\\\""),
                "ClusterGateway in version \\\"v1alpha1\\\"".to_owned(),
            ),
        ] {
            text = text.replace(&theirs, &ours);
        }
    }
    text = without_objects(&text);
    // A Go type in parentheses, a scheme's place in Go's sources, a key of etcd, a UID, what version there is.
    for (start, end, instead) in [
        ("(*", ")", "(type)"),
        (" in scheme \\\"", "\\\"", ""),
        ("Key: ", ",", "Key,"),
        ("UID in object meta: ", "\"", "UID\""),
        (", current: ", "\"", ", current\""),
        ("too old resource version: 1 (", ")", "too old"),
    ] {
        if let Some((before, rest)) = text.split_once(start)
            && let Some((_, after)) = rest.split_once(end)
        {
            text = format!("{before}{instead}{after}");
        }
    }
    text
}

/// Without the objects that refusals of patches repeat.
fn without_objects(text: &str) -> String {
    const START: &str = "Invalid value: \\\"{";
    const END: &str = "}\\\": ";
    let mut parts = text.split(START);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole.push_str(START);
        whole.push_str(part.split_once(END).map_or(part, |(_, rest)| rest));
    }
    whole
}
