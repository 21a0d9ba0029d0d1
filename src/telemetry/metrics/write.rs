use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use prometheus::{Result, TextEncoder};

use crate::telemetry::counts::{Counts, Used};
use crate::telemetry::labels::Code;
use crate::telemetry::text::{Family, Text};
use crate::telemetry::{ClusterSeries, ErrorKind, Resource, Target, Verb};

use super::families::{
    BY_CLUSTER, BY_RESOURCE, DURATION, ERRORS, HEADER, HISTOGRAMS, IN_FLIGHT, LOCAL, RECEIVED, SENT,
    STREAMED, STREAMS,
};
use super::fold::fold;
use super::{Inner, Metrics};

/// Labels of the bytes of upgraded connections.
const TO_CLUSTER: &str = "to_cluster";
const TO_CALLER: &str = "to_caller";

/// The label of those that have no series of their own. Prometheus takes an empty label for none.
const REST: &str = "";

/// Who is counted apart: a name, and what was counted.
type Counted<'a> = (&'a str, &'a Used);

impl Metrics {
    /// Everything in the text exposition format 0.0.4. A hundred thousand series take tens of milliseconds: not for a
    /// worker's thread.
    pub fn text(&self) -> Result<String> {
        let inner = &self.0;
        let last = inner.written.load(Ordering::Relaxed);
        let mut text = Text::with_capacity(last + last / 8);
        // Held, and with them what they counted, until all is written.
        let clusters = inner.alive();
        let rest = Arc::clone(&inner.rest);
        let counted: Vec<Counted<'_>> = [(REST, &rest)]
            .into_iter()
            .chain(clusters.iter().map(|series| (series.name().as_str(), series.counts())))
            .filter_map(|(name, counts)| Some((name, Counts::used(counts)?)))
            .collect();
        inner.requests(&mut text);
        of_clusters(&mut text, &counted);
        text.family(&HISTOGRAMS);
        text.sample(HISTOGRAMS.name, &[], inner.places.taken());
        let mut families = inner.registry.gather();
        if !inner.options.per_cluster {
            fold(&mut families);
        }
        let mut text = text.into_string();
        TextEncoder::new().encode_utf8(&families, &mut text)?;
        inner.written.store(text.len(), Ordering::Relaxed);
        Ok(text)
    }
}

impl Inner {
    /// The series that somebody holds, in the order of their names.
    fn alive(&self) -> Vec<Arc<ClusterSeries>> {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.values().filter_map(|entry| entry.series.upgrade()).collect()
    }

    /// What is counted without telling clusters apart.
    fn requests(&self, text: &mut Text) {
        text.family(&BY_RESOURCE);
        for resource in Resource::all() {
            let Some(verbs) = self.by_resource[resource.index()].get() else { continue };
            for verb in Verb::ALL {
                for code in Code::all() {
                    let count = verbs[verb as usize][code.index()].load(Ordering::Relaxed);
                    if count > 0 {
                        let labels = [
                            ("code", code.as_str()),
                            ("resource", resource.as_str()),
                            ("verb", verb.as_str()),
                        ];
                        text.sample(BY_RESOURCE.name, &labels, count);
                    }
                }
            }
        }
        text.family(&LOCAL);
        for target in Target::ALL {
            for code in Code::all() {
                let count = self.local[target as usize][code.index()].load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("code", code.as_str()), ("target", target.as_str())];
                    text.sample(LOCAL.name, &labels, count);
                }
            }
        }
    }
}

fn of_clusters(text: &mut Text, counted: &[Counted<'_>]) {
    text.family(&BY_CLUSTER);
    for (cluster, used) in counted {
        for code in Code::all() {
            let count = used.codes[code.index()].load(Ordering::Relaxed);
            if count > 0 {
                text.sample(BY_CLUSTER.name, &[("cluster", cluster), ("code", code.as_str())], count);
            }
        }
    }
    text.family(&DURATION);
    for (cluster, used) in counted {
        for (key, histogram) in used.durations() {
            let labels = [
                ("cluster", *cluster),
                ("code", key.code.as_str()),
                ("resource", key.resource.as_str()),
                ("verb", key.verb.as_str()),
            ];
            text.histogram(DURATION.name, &labels, &histogram);
        }
    }
    text.family(&HEADER);
    for (cluster, used) in counted {
        if let Some(histogram) = used.headers() {
            text.histogram(HEADER.name, &[("cluster", cluster)], histogram);
        }
    }
    text.family(&ERRORS);
    for (cluster, used) in counted {
        for kind in ErrorKind::ALL {
            let count = used.errors[kind as usize].load(Ordering::Relaxed);
            if count > 0 {
                text.sample(ERRORS.name, &[("cluster", cluster), ("kind", kind.as_str())], count);
            }
        }
    }
    each(text, &IN_FLIGHT, counted, |used| used.in_flight.load(Ordering::Relaxed));
    each(text, &RECEIVED, counted, |used| used.received.load(Ordering::Relaxed));
    each(text, &SENT, counted, |used| used.sent.load(Ordering::Relaxed));
    let streams = || counted.iter().filter_map(|(cluster, used)| Some((*cluster, used.streams.get()?)));
    text.family(&STREAMS);
    for (cluster, streams) in streams() {
        text.sample(STREAMS.name, &[("cluster", cluster)], streams.open.load(Ordering::Relaxed));
    }
    text.family(&STREAMED);
    for (cluster, streams) in streams() {
        for (direction, bytes) in [(TO_CLUSTER, &streams.to_cluster), (TO_CALLER, &streams.to_caller)] {
            let labels = [("cluster", cluster), ("direction", direction)];
            text.sample(STREAMED.name, &labels, bytes.load(Ordering::Relaxed));
        }
    }
}

fn each<V: std::fmt::Display>(
    text: &mut Text,
    family: &Family,
    counted: &[Counted<'_>],
    value: impl Fn(&Used) -> V,
) {
    text.family(family);
    for (cluster, used) in counted {
        text.sample(family.name, &[("cluster", cluster)], value(used));
    }
}
