use std::time::Duration;

use super::usage::EVERY;

/// A worker that uses so much of its core is the one that requests wait for.
const SATURATED: f32 = 0.9;
/// A worker that uses less has room for what it passes on. In between nothing changes, so that nothing swings.
const CALM: f32 = 0.75;
/// What another worker has to use less for a stream's two wakes across cores to be worth it.
const MARGIN: f32 = 0.1;
/// How much of a difference is passed on at once: what that leads to is seen one look later, and passing on all of
/// it would swing.
const GAIN: f32 = 0.25;
/// Less than this is not worth a division.
const NOTHING: f32 = 0.01;
/// After so many intervals without a look it is all over.
const FORGOTTEN: f32 = 40.0;

/// Which part of a worker's new streams each of the other workers serves for it.
///
/// None, while the worker does not use the whole of its core. When it does, each that uses notably less gets a part
/// in proportion to the difference, at every look a little more until the worker is not saturated any more or they
/// are no better off; and less when they have more to do than it has, or when it is calm again.
#[derive(Debug)]
pub(super) struct Spill {
    own: usize,
    /// One for each worker; 0 for itself.
    parts: Vec<f32>,
    /// What each is owed of the next stream.
    owed: Vec<f32>,
    /// Of all.
    total: f32,
}

impl Spill {
    /// Of worker `own` of so many.
    pub(super) fn new(own: usize, workers: usize) -> Self {
        Self { own, parts: vec![0.0; workers], owed: vec![0.0; workers], total: 0.0 }
    }

    /// After a look at what the worker uses (on average over a time) and what each of all workers uses.
    pub(super) fn adapt(&mut self, used: f32, over: Duration, others: impl Fn(usize) -> f32) {
        // Calm is seen late where nothing comes: it began with the last look.
        let intervals = (over.as_secs_f32() / EVERY.as_secs_f32()).clamp(1.0, FORGOTTEN);
        let neighbours = (0..self.parts.len()).filter(|index| *index != self.own);
        let room: Vec<(usize, f32)> = neighbours.map(|index| (index, used - others(index))).collect();
        let takers = room.iter().filter(|(_, room)| *room >= MARGIN).count() as f32;
        for (index, room) in room {
            let part = &mut self.parts[index];
            if used >= SATURATED && room >= MARGIN {
                *part += GAIN * room / takers;
            } else if room <= -MARGIN {
                *part = (*part + GAIN * room * intervals).max(0.0);
            }
        }
        let total: f32 = self.parts.iter().sum();
        let wanted = match used < CALM {
            true => total - GAIN * (CALM - used) * intervals,
            false => total.min(1.0),
        };
        self.scale(total, wanted);
    }

    /// The worker that is to serve the next stream, when that is another one.
    pub(super) fn next(&mut self) -> Option<usize> {
        if self.total == 0.0 {
            return None;
        }
        let mut most = (self.own, 1.0);
        for (index, (owed, part)) in self.owed.iter_mut().zip(&self.parts).enumerate() {
            *owed += part;
            if *owed >= most.1 {
                most = (index, *owed);
            }
        }
        let (index, _) = most;
        if index == self.own {
            return None;
        }
        self.owed[index] -= 1.0;
        Some(index)
    }

    fn scale(&mut self, total: f32, wanted: f32) {
        if wanted < NOTHING {
            self.parts.fill(0.0);
            self.owed.fill(0.0);
            self.total = 0.0;
            return;
        }
        self.parts.iter_mut().for_each(|part| *part *= wanted / total);
        self.total = wanted;
    }
}

#[cfg(test)]
#[path = "spill_tests.rs"]
mod tests;
