//! Watches that are told of changes: what comes and goes, what begins and ends to be chosen. All choose the last one.

use super::super::row::{Row, get};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_PROTOBUF: &str =
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for query in [
        "",
        "&resourceVersion=0",
        "&resourceVersion={now}",
        "&resourceVersion={now}&labelSelector=env+in+(one,finis)",
        "&resourceVersion={now}&labelSelector=env+in+(moved,finis)",
        "&resourceVersion={now}&labelSelector=env+notin+(one,new)",
        "&resourceVersion={now}&labelSelector=env!%3Dmoved",
        "&resourceVersion={now}&labelSelector=env",
        "&resourceVersion=0&labelSelector=!none,env!%3Dthree",
        "&resourceVersion={now}&fieldSelector=metadata.name!%3Done",
        "&resourceVersion={now}&fieldSelector=metadata.name!%3Done&labelSelector=env+in+(two,finis)",
        "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion={now}",
    ] {
        rows.push(get(format!("{{all}}?watch=true{query}")));
    }
    const MOVED: &str = "{all}?watch=1&resourceVersion={now}&labelSelector=env+in+(one,finis)";
    for accept in [TABLE, PARTIAL, PARTIAL_PROTOBUF, "application/json;as=Table;v=v1beta1;g=meta.k8s.io"] {
        rows.push(get("{all}?watch=1&resourceVersion={now}").accept(accept));
        rows.push(get(MOVED).accept(accept));
    }
    rows.push(get("{all}?watch=1&resourceVersion={now}&includeObject=None").accept(TABLE));
    rows.push(get("{watch}?resourceVersion={now}"));
    rows
}
