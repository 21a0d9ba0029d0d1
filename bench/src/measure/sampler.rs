use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Meter;

const EVERY: Duration = Duration::from_millis(250);

/// Reads memory again and again while something else goes on.
pub(crate) struct Sampler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<Samples>>,
}

/// Of one meter: seconds since the start, MB.
pub(crate) type Samples = Vec<(f64, f64)>;

impl Sampler {
    /// Begins.
    pub(crate) fn start(meters: Vec<Meter>) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let mut samples: Vec<Samples> = meters.iter().map(|_| Samples::new()).collect();
            loop {
                for (meter, line) in meters.iter().zip(&mut samples) {
                    // A process that ended has no memory any more: its line ends.
                    if let Ok(kilobytes) = meter.rss_kb() {
                        line.push((began.elapsed().as_secs_f64(), kilobytes as f64 / 1024.0));
                    }
                }
                if tokio::time::timeout(EVERY, &mut stopped).await.is_ok() {
                    return samples;
                }
            }
        });
        Self { stop, task }
    }

    /// Ends it; what was read, in the order of the meters.
    pub(crate) async fn stop(self) -> Vec<Samples> {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_meter_has_its_samples() {
        let sampler = Sampler::start(vec![Meter::of(std::process::id()), Meter::of(u32::MAX)]);
        let samples = sampler.stop().await;
        assert!(samples[0][0].1 > 0.0, "{samples:?}");
        assert!(samples[1].is_empty(), "{samples:?}");
    }
}
