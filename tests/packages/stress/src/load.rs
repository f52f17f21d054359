//! The operations of one thread: calls with every outcome, permits held over other operations, drops, panics, forced
//! states, reloads, and now and then a reading.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use microbreaker::{Breaker, Clock, Config, FailureKind, LiveWindow, ManualClock, Mode, OpenReason, Outcome, Permit};

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

    /// A random number below `range`.
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

/// The numbers of probes that a configuration admits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) probes: u8,
    pub(crate) at_once: u8,
}

impl Most {
    fn or(self, other: Self) -> Self {
        Self { probes: self.probes.max(other.probes), at_once: self.at_once.max(other.at_once) }
    }
}

/// The certain facts about the probes of one generation. Between the return of `acquire` and the beginning of the
/// report a probe is in flight, unless its lease is over. Every other probe counts as admitted too, with a result or
/// written off, unless its slot was given back.
#[derive(Debug)]
struct Round {
    generation: u32,
    /// The largest numbers of the configurations under which these probes were admitted.
    most: Most,
    admitted: usize,
    /// A tick for each probe in flight, no later than its admission.
    out: Vec<u32>,
}

/// The latest half-open generations. A generation whose place another one has taken is counted from zero again, so the
/// count may be too small, never too large.
#[derive(Debug)]
pub(crate) struct Gauge(Vec<Mutex<Option<Round>>>);

impl Default for Gauge {
    fn default() -> Self {
        Self((0..1024).map(|_| Mutex::default()).collect())
    }
}

impl Gauge {
    fn place(&self, generation: u32) -> &Mutex<Option<Round>> {
        &self.0[generation as usize % self.0.len()]
    }

    /// Counts one more probe. Returns what is wrong, if anything.
    fn enter(&self, generation: u32, most: Most, begin: u32, lease: u32, clock: &Common) -> Option<String> {
        let mut place = self.place(generation).lock().expect("nobody panics in it");
        let round = match &mut *place {
            Some(round) if round.generation == generation => round,
            other => other.insert(Round { generation, most, admitted: 0, out: Vec::new() }),
        };
        round.most = round.most.or(most);
        round.admitted += 1;
        round.out.push(begin);
        // Read under the lock, so that the reading is not older than that of a thread that wrote a probe off and so let
        // another of these take its slot.
        let now = clock.now().count();
        let out = round.out.iter().filter(|&&begin| now.wrapping_sub(begin) < lease).count();
        let wrong = round.admitted > round.most.probes.into() || out > round.most.at_once.into();
        wrong.then(|| format!("{out} probes in flight together, {} in all: {round:?}", round.admitted))
    }

    /// Called just before a report. If it is `neutral`, another probe may take the slot.
    fn leave(&self, generation: u32, begin: u32, neutral: bool) {
        let mut place = self.place(generation).lock().expect("nobody panics in it");
        if let Some(round) = place.as_mut().filter(|round| round.generation == generation)
            && let Some(at) = round.out.iter().position(|&other| other == begin)
        {
            round.out.swap_remove(at);
            round.admitted -= usize::from(neutral);
        }
    }
}

/// The callers' side of the sums.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) permits: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) probes: AtomicU64,
}

/// The values that all threads of one run share.
pub(crate) struct Ground<'a, W: LiveWindow> {
    pub(crate) breaker: &'a Stressed<'a, W>,
    pub(crate) clock: &'a Common,
    pub(crate) configs: [(Config, Most); 2],
    /// The index of the configuration in force, plus 2 during a change, plus 4 for each change.
    pub(crate) in_force: AtomicU64,
    /// Held during a reload.
    pub(crate) reloading: Mutex<()>,
    pub(crate) lease: u32,
    /// Whether some permits are neither reported nor dropped. That needs leases short enough to recover from it.
    pub(crate) forgets: bool,
    pub(crate) gauge: Gauge,
    pub(crate) counts: Counts,
    pub(crate) violations: Violations,
}

/// The first twenty violations of a run.
#[derive(Debug, Default)]
pub(crate) struct Violations(Mutex<Vec<String>>);

impl Violations {
    pub(crate) fn add(&self, violation: String) {
        let mut violations = self.0.lock().expect("nobody panics in it");
        if violations.len() < 20 {
            violations.push(violation);
        }
    }

    pub(crate) fn into_inner(self) -> Vec<String> {
        self.0.into_inner().expect("nobody panics in it")
    }
}

struct Held<'a, W: LiveWindow> {
    permit: Permit<&'a Stressed<'a, W>>,
    /// If it is a probe: its generation, and a tick no later than its admission.
    probe: Option<(u32, u32)>,
}

impl<'a, W: LiveWindow> Ground<'a, W> {
    /// Makes `operations`: each asks, reports or makes a transition.
    pub(crate) fn work(&self, random: &mut Random, operations: u64) {
        let mut held: Vec<Held<'a, W>> = Vec::new();
        // The state of the peer for the whole call: well, sick or dead.
        let sickness = [87, 300, 800][random.below(3) as usize];
        for operation in 0..operations {
            BEFORE.set(self.clock.now().count());
            if operation % 64 == 0 && random.one_in(2) {
                self.clock.pass();
            }
            match random.below(1000) {
                0..=1 => self.meddle(random),
                2 => drop(self.breaker.status()),
                3..=500 if held.len() < 4 => {
                    if let Some(permit) = self.ask(random.one_in(200)) {
                        held.push(permit);
                    }
                }
                _ => match held.pop() {
                    Some(permit) => self.report(permit, random, sickness),
                    None => {
                        if let Some(permit) = self.ask(false) {
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

    fn ask(&self, anyway: bool) -> Option<Held<'a, W>> {
        let before = self.in_force.load(Ordering::Acquire);
        let answer = if anyway { self.breaker.acquire_anyway() } else { self.breaker.acquire() };
        let Ok(permit) = answer else {
            self.counts.rejected.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.counts.permits.fetch_add(1, Ordering::Relaxed);
        let probe = permit.is_probe().then(|| (permit.generation(), BEFORE.get()));
        if let Some((generation, begin)) = probe {
            self.counts.probes.fetch_add(1, Ordering::Relaxed);
            // Acquire, partner: the Release fence in `reload`. A thread that saw the settings of a reload sees that the
            // reload had begun.
            fence(Ordering::Acquire);
            let [(_, one), (_, other)] = self.configs;
            let most = match before {
                _ if before != self.in_force.load(Ordering::Relaxed) => one.or(other),
                _ if before & 2 != 0 => one.or(other),
                _ => [one, other][(before & 1) as usize],
            };
            if let Some(wrong) = self.gauge.enter(generation, most, begin, self.lease, self.clock) {
                self.violations.add(wrong);
            }
        }
        Some(Held { permit, probe })
    }

    /// Reports an outcome. `sickness` is the number of failures in a thousand calls.
    fn report(&self, Held { permit, probe }: Held<'a, W>, random: &mut Random, sickness: u32) {
        let leave = |neutral| {
            if let Some((generation, begin)) = probe {
                self.gauge.leave(generation, begin, neutral);
            }
        };
        let counted = match random.below(1000) {
            0..=29 => {
                leave(true);
                drop(permit);
                &self.counts.dropped
            }
            30 => {
                leave(false);
                let call = move || {
                    let _held = permit;
                    // Unwinds without the panic hook, which would print.
                    std::panic::resume_unwind(Box::new(()));
                };
                let _ = catch_unwind(AssertUnwindSafe(call));
                self.counts.panics.fetch_add(1, Ordering::Relaxed);
                &self.counts.reports
            }
            31..=32 if self.forgets => {
                std::mem::forget(permit);
                return;
            }
            roll => {
                let outcome = match roll - 31 {
                    2 => Outcome::Hold(ticks(random.below(8))),
                    3 if random.one_in(4) => Outcome::Latch,
                    roll if roll < sickness => Outcome::Failure(FailureKind::Timeout),
                    roll if roll < sickness + 40 => Outcome::Slow,
                    roll if roll < sickness + 60 => Outcome::Alive,
                    roll if roll < sickness + 80 => Outcome::Ignored,
                    _ => Outcome::Success,
                };
                leave(outcome == Outcome::Ignored);
                permit.record(outcome);
                &self.counts.reports
            }
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    /// Does what an operator, or a layer above, may do.
    fn meddle(&self, random: &mut Random) {
        let breaker = self.breaker;
        match random.below(20) {
            0..=3 => breaker.reset(),
            4 => drop(breaker.force_open()),
            5 => drop(breaker.disable()),
            6 | 7 => drop(breaker.trip(OpenReason::Budget, ticks(random.below(8)))),
            8 => drop(breaker.hold(ticks(random.below(8)))),
            9 => drop(breaker.latch()),
            16 | 17 => drop(breaker.trip(OpenReason::Outlier, ticks(random.below(8)))),
            18 => drop(breaker.release(breaker.status().generation)),
            19 => drop(breaker.half_open()),
            10 => drop(breaker.switch(Mode::Shadow)),
            11..=13 => drop(breaker.switch(Mode::On)),
            _ => self.reload(random.below(2) as usize),
        }
        // Only a reset leads out of these states.
        if !random.one_in(4) && breaker.retry_in().is_none() {
            breaker.reset();
        }
    }

    fn reload(&self, which: usize) {
        // One reload at a time, because after two at once no thread would know which settings are in force.
        let _turn = self.reloading.lock().expect("nobody panics in it");
        let before = self.in_force.load(Ordering::Relaxed);
        self.in_force.store(before | 2, Ordering::Relaxed);
        fence(Ordering::Release);
        if let Err(error) = self.breaker.reconfigure(&self.configs[which].0) {
            self.violations.add(format!("a valid reload is refused: {error}"));
        }
        self.in_force.store((before | 3) + 1 + which as u64, Ordering::Release);
    }
}
