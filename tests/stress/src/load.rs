//! What one thread does: calls with every outcome, permits held over other operations, drops, panics, forced states,
//! reloads, and a look now and then.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use microbreaker::{Breaker, Clock, Config, FailureKind, ManualClock, OpenReason, Outcome, Permit, Window};

use crate::watch::{BEFORE, Common, Watch};

pub(crate) type Stressed<'a, W> = Breaker<W, &'a Common, &'a Watch<'a>>;

pub(crate) const fn ticks(count: u32) -> Duration {
    ManualClock::RATE.duration_of(count)
}

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `range`.
    fn below(&mut self, range: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let word = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        u32::try_from((word * u64::from(range)) >> 32).expect("below the range")
    }

    fn one_in(&mut self, range: u32) -> bool {
        self.below(range) == 0
    }
}

/// Probes that are certainly out: from the return of `acquire` to the beginning of the report.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<BTreeMap<u32, u32>>);

impl Gauge {
    fn enter(&self, generation: u32) -> u32 {
        let mut out = self.0.lock().expect("nobody panics in it");
        let count = out.entry(generation).or_insert(0);
        *count += 1;
        *count
    }

    fn leave(&self, generation: u32) {
        let mut out = self.0.lock().expect("nobody panics in it");
        if let Some(count) = out.get_mut(&generation) {
            *count -= 1;
            if *count == 0 {
                out.remove(&generation);
            }
        }
    }
}

/// The caller's side of the sums.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) permits: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) forgotten: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) probes: AtomicU64,
}

/// What all threads of one run share.
pub(crate) struct Ground<'a, W: Window> {
    pub(crate) breaker: &'a Stressed<'a, W>,
    pub(crate) clock: &'a Common,
    /// Reloads take turns.
    pub(crate) configs: [Config; 2],
    /// The most probes that any of them lets out together; `None` where leases are short, so that some are written off.
    pub(crate) at_once: Option<u32>,
    pub(crate) gauge: Gauge,
    pub(crate) counts: Counts,
    pub(crate) violations: Mutex<Vec<String>>,
}

struct Held<'a, W: Window> {
    permit: Permit<&'a Stressed<'a, W>>,
    /// Its generation, if it is a probe.
    probe: Option<u32>,
}

impl<'a, W: Window> Ground<'a, W> {
    pub(crate) fn complain(&self, violation: String) {
        let mut violations = self.violations.lock().expect("nobody panics in it");
        if violations.len() < 20 {
            violations.push(violation);
        }
    }

    /// `operations` of them: each asks, reports or moves something.
    pub(crate) fn work(&self, random: &mut Random, operations: u64) {
        let mut held: Vec<Held<'a, W>> = Vec::new();
        // How the peer is, for as long as this takes: well, sick or dead.
        let sickness = [87, 300, 800][random.below(3) as usize];
        for operation in 0..operations {
            BEFORE.set(self.clock.now().count());
            if operation % 64 == 0 && random.one_in(2) {
                self.clock.pass();
            }
            match random.below(1000) {
                0..=1 => self.meddle(random),
                2 => self.look(),
                3..=500 if held.len() < 4 => {
                    if let Some(permit) = self.ask() {
                        held.push(permit);
                    }
                }
                _ => match held.pop() {
                    Some(permit) => self.report(permit, random, sickness),
                    None => {
                        if let Some(permit) = self.ask() {
                            self.report(permit, random, sickness);
                        }
                    }
                },
            }
        }
        for permit in held {
            BEFORE.set(self.clock.now().count());
            self.report(permit, random, sickness);
        }
    }

    fn ask(&self) -> Option<Held<'a, W>> {
        let Ok(permit) = self.breaker.acquire() else {
            self.counts.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.counts.permits.fetch_add(1, Ordering::Relaxed);
        let probe = permit.is_probe().then(|| permit.generation());
        if let Some(generation) = probe {
            self.counts.probes.fetch_add(1, Ordering::Relaxed);
            let out = self.gauge.enter(generation);
            if let Some(most) = self.at_once
                && out > most
            {
                self.complain(format!("{out} probes of generation {generation} out together"));
            }
        }
        Some(Held { permit, probe })
    }

    /// `sickness`: failures in a thousand calls.
    fn report(&self, Held { permit, probe }: Held<'a, W>, random: &mut Random, sickness: u32) {
        if let Some(generation) = probe {
            self.gauge.leave(generation);
        }
        let counted = match random.below(1000) {
            0..=29 => {
                drop(permit);
                &self.counts.dropped
            }
            30..=31 if self.at_once.is_none() => {
                std::mem::forget(permit);
                &self.counts.forgotten
            }
            32 => {
                let call = move || {
                    let _held = permit;
                    // Without the hook, which would print.
                    std::panic::resume_unwind(Box::new(()));
                };
                let _ = catch_unwind(AssertUnwindSafe(call));
                self.counts.panics.fetch_add(1, Ordering::Relaxed);
                &self.counts.reports
            }
            roll => {
                permit.record(match roll - 33 {
                    0 => Outcome::Hold(ticks(random.below(8))),
                    1 if random.one_in(4) => Outcome::Latch,
                    roll if roll < sickness => Outcome::Failure(FailureKind::Timeout),
                    roll if roll < sickness + 40 => Outcome::Slow,
                    roll if roll < sickness + 60 => Outcome::Alive,
                    roll if roll < sickness + 80 => Outcome::Ignored,
                    _ => Outcome::Success,
                });
                &self.counts.reports
            }
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    /// What an operator or a layer above does.
    fn meddle(&self, random: &mut Random) {
        let breaker = self.breaker;
        match random.below(16) {
            0..=3 => breaker.reset(),
            4 => drop(breaker.force_open()),
            5 => drop(breaker.disable()),
            6 | 7 => drop(breaker.trip(OpenReason::Budget, ticks(random.below(8)))),
            8 => drop(breaker.hold(ticks(random.below(8)))),
            9 => drop(breaker.latch()),
            10 => breaker.watch_only(),
            11..=13 => breaker.enforce(),
            _ => {
                let config = &self.configs[random.below(2) as usize];
                if let Err(error) = breaker.reconfigure(config) {
                    self.complain(format!("a valid reload is refused: {error}"));
                }
            }
        }
        // Nothing else leads on from these.
        if !random.one_in(4) && breaker.retry_in().is_none() {
            breaker.reset();
        }
    }

    fn look(&self) {
        let status = self.breaker.status();
        if status.tally.failed > status.tally.total || status.tally.slow > status.tally.total {
            self.complain(format!("more in part than in all: {:?}", status.tally));
        }
    }
}
