//! The breaker as the design describes it: sequential, slow and plain. Time is 64 bits wide and never wraps. A window
//! is a queue of outcomes. A value that may be absent is an `Option`.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use microbreaker::{Effect, FailureKind, OpenReason, Outcome, RejectReason, ReportKind, State, WindowKind};

use super::settings::{Settings, ticks_in};

/// The real clock wraps after this many ticks.
const WRAP: u64 = 1 << 32;

/// A window's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sums {
    pub(crate) window: WindowKind,
    pub(crate) total: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

/// A transition. `cause` holds the sums if they are its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) generation: u64,
    pub(crate) attempt: u8,
    pub(crate) lasts: Option<u64>,
    pub(crate) cause: Option<Sums>,
}

/// One thing that the breaker tells its observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    Moved(Move),
    Permit { probe: bool },
    Rejected(RejectReason),
    WouldReject(RejectReason),
    Report { kind: ReportKind, slow: bool, effect: Effect, failed_at: Option<u64> },
}

/// What a status shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct View {
    pub(crate) state: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) level: u8,
    pub(crate) attempt: u8,
    pub(crate) generation: u64,
    pub(crate) retry_in: Option<u64>,
    pub(crate) probes_in_flight: usize,
    pub(crate) shadow: bool,
    pub(crate) sums: Sums,
}

/// The reason of a rejection, and the ticks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rejection {
    pub(crate) reason: RejectReason,
    pub(crate) retry_in: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Ordinary,
    Probe,
    Uncounted,
}

/// A permit to make one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Permit {
    id: u64,
    generation: u64,
    kind: Kind,
    level: u8,
    /// When the permit was given, if a slow limit was set at that time.
    started: Option<u64>,
}

impl Permit {
    pub(crate) fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn is_probe(&self) -> bool {
        self.kind == Kind::Probe
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.kind != Kind::Uncounted
    }

    pub(crate) fn started(&self) -> Option<u64> {
        self.started
    }
}

/// The outcome of a call, as windows and probes count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mark {
    failed: bool,
    slow: bool,
}

/// The assessment of a window's sums: whether they trip, whether the minimum is reached, and the level.
struct Opinion {
    sums: Sums,
    trip: Option<OpenReason>,
    ripe: bool,
    level: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Window {
    Streak { threshold: u32, run: u32 },
    Count { calls: usize, counts_slow: bool, outcomes: VecDeque<Mark> },
    Time { buckets: u64, bucket: u64, outcomes: VecDeque<(u64, Mark)> },
}

impl Window {
    fn all(settings: &Settings) -> Vec<Self> {
        let shape = settings.shape;
        let streak = shape.streak.map(|threshold| Self::Streak { threshold: threshold.into(), run: 0 });
        let count = shape.count.map(|calls| Self::Count {
            calls: calls.into(),
            counts_slow: shape.slow,
            outcomes: VecDeque::new(),
        });
        let time = shape.time.map(|(buckets, bucket)| Self::Time {
            buckets: buckets.into(),
            bucket,
            outcomes: VecDeque::new(),
        });
        [streak, count, time].into_iter().flatten().collect()
    }

    fn clear(&mut self) {
        match self {
            Self::Streak { run, .. } => *run = 0,
            Self::Count { outcomes, .. } => outcomes.clear(),
            Self::Time { outcomes, .. } => outcomes.clear(),
        }
    }

    /// Counts one outcome. `true` if this window counts it as failed or slow: then it must be judged.
    fn record(&mut self, mut mark: Mark, now: u64) -> bool {
        match self {
            Self::Streak { run, .. } => *run = if mark.failed || mark.slow { *run + 1 } else { 0 },
            Self::Count { calls, counts_slow, outcomes } => {
                mark.slow &= *counts_slow;
                outcomes.push_back(mark);
                if outcomes.len() > *calls {
                    outcomes.pop_front();
                }
            }
            Self::Time { bucket, outcomes, .. } => {
                // Sorted: within a bucket the order of the outcomes makes no difference, so equal windows compare
                // equal.
                let outcome = (now / *bucket, mark);
                let place = outcomes.partition_point(|other| other <= &outcome);
                outcomes.insert(place, outcome);
            }
        }
        mark.failed || mark.slow
    }

    fn sums(&self, now: u64) -> Sums {
        match self {
            Self::Streak { run, .. } => Sums { window: WindowKind::Streak, total: *run, failed: *run, slow: 0 },
            Self::Count { outcomes, .. } => sum(WindowKind::Count, outcomes.iter()),
            Self::Time { buckets, bucket, outcomes } => {
                let recent = outcomes.iter().filter(|(index, _)| index + buckets > now / bucket);
                sum(WindowKind::Time, recent.map(|(_, mark)| mark))
            }
        }
    }

    /// Judges the window. `last` is the outcome that was just recorded, `level` the level before it.
    fn judge(&self, settings: &Settings, now: u64, last: Mark, level: u8) -> Opinion {
        let sums = self.sums(now);
        if let Self::Streak { threshold, run } = self {
            let reason = if last.failed { OpenReason::Failures } else { OpenReason::Slow };
            return Opinion {
                sums,
                trip: (run >= threshold).then_some(reason),
                ripe: true,
                level: degrade(level, u64::from(*run), u64::from(*threshold)),
            };
        }
        let ripe = sums.total >= settings.minimum();
        let axes = [(sums.failed, settings.failure_permille()), (sums.slow, settings.slow_permille())];
        let level_of = |(part, permille): (u32, Option<u16>)| {
            permille.map_or(0, |share| degrade(level, u64::from(part) * 1000, u64::from(share) * u64::from(sums.total)))
        };
        Opinion {
            sums,
            trip: over_threshold(settings, settings.minimum(), sums),
            ripe,
            level: if ripe { axes.map(level_of).into_iter().max().unwrap_or(0) } else { 0 },
        }
    }
}

fn sum<'a>(window: WindowKind, outcomes: impl Iterator<Item = &'a Mark>) -> Sums {
    let mut sums = Sums { window, total: 0, failed: 0, slow: 0 };
    for mark in outcomes {
        sums.total += 1;
        sums.failed += u32::from(mark.failed);
        sums.slow += u32::from(mark.slow);
    }
    sums
}

/// The reason to open, if there are at least `minimum` calls and a share is reached. Failures come before slow calls.
fn over_threshold(settings: &Settings, minimum: u32, sums: Sums) -> Option<OpenReason> {
    let reached = |part: u32, permille: Option<u16>| {
        permille.is_some_and(|share| u64::from(part) * 1000 >= u64::from(share) * u64::from(sums.total))
    };
    if sums.total < minimum {
        None
    } else if reached(sums.failed, settings.failure_permille()) {
        Some(OpenReason::Failures)
    } else if reached(sums.slow, settings.slow_permille()) {
        Some(OpenReason::Slow)
    } else {
        None
    }
}

/// The level that follows `level` if `value` has reached part of `trip`. It rises at each quarter of `trip`, and falls
/// only an eighth below that quarter.
fn degrade(mut level: u8, value: u64, trip: u64) -> u8 {
    while level < 3 && value * 4 >= trip * u64::from(level + 1) {
        level += 1;
    }
    while level > 0 && value * 8 < trip * (2 * u64::from(level) - 1) {
        level -= 1;
    }
    level
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Close,
    Reopen(OpenReason),
}

/// The probes of one half-open generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Probes {
    /// The probes in flight.
    out: BTreeSet<u64>,
    good: u32,
    bad: u32,
    slow: u32,
    latest_admission: u64,
}

impl Probes {
    fn sums(&self, settings: &Settings) -> Sums {
        // By first failure, `bad` counts failures and slow successes, and `slow` counts only the slow successes.
        let failed = if settings.judges_by_rates() { self.bad } else { self.bad.saturating_sub(self.slow) };
        Sums { window: WindowKind::Probes, total: self.good + self.bad, failed, slow: self.slow }
    }

    fn has_room(&self, settings: &Settings) -> bool {
        let admitted = self.out.len() + self.good as usize + self.bad as usize;
        self.out.len() < settings.at_once() && admitted < settings.probes()
    }

    fn verdict(&self, settings: &Settings) -> Option<Verdict> {
        if settings.judges_by_rates() {
            let minimum = settings.minimum().min(u32::try_from(settings.probes()).unwrap());
            (self.good + self.bad >= minimum)
                .then(|| over_threshold(settings, minimum, self.sums(settings)).map_or(Verdict::Close, Verdict::Reopen))
        } else if self.bad > 0 {
            let all_slow = self.slow == self.bad;
            Some(Verdict::Reopen(if all_slow { OpenReason::Slow } else { OpenReason::Failures }))
        } else {
            (self.good >= settings.successes()).then_some(Verdict::Close)
        }
    }

    fn count(&mut self, settings: &Settings, mark: Mark) {
        let by_rates = settings.judges_by_rates();
        // By first failure, a probe is only good or bad: a slow success is bad, and `slow` marks that it was no
        // failure.
        let bad = mark.failed || (mark.slow && !by_rates);
        let slow = mark.slow && (by_rates || !mark.failed);
        self.good += u32::from(!bad);
        self.bad += u32::from(bad);
        self.slow += u32::from(slow);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Closed,
    Open { reason: OpenReason, since: u64, lasts: u64 },
    Latched,
    HalfOpen(Probes),
    Ramping { since: u64, lasts: u64, calls: u64 },
    ForcedOpen,
    Disabled,
}

/// The state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Model {
    now: u64,
    settings: Settings,
    shadow: bool,
    phase: Phase,
    generation: u64,
    attempt: u8,
    windows: Vec<Window>,
    /// An outcome of this generation was judged with the minimum reached, and did not trip.
    pub(crate) warm: bool,
    level: u8,
    /// The number of the last permit.
    pub(crate) permits: u64,
    /// When the time window last counted an outcome, or began.
    touched: u64,
    /// What the observer was told since this list was last taken.
    pub(crate) told: Vec<Told>,
    /// Whether a report takes two steps. The first counts and judges it; the second, some time later, makes the move
    /// that follows from it. A concurrent history needs this, because other threads may act between the two.
    pub(crate) in_two_steps: bool,
    /// The second step that the last report still owes.
    pub(crate) second_step: Option<SecondStep>,
}

/// A move that follows from a report. It is made only if its generation still lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SecondStep {
    generation: u64,
    call: Call,
    sums: Sums,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    Open(OpenReason),
    CarryOut(Verdict),
}

impl Model {
    pub(crate) fn new(settings: Settings, now: u64) -> Self {
        Self {
            now,
            settings,
            shadow: false,
            phase: Phase::Closed,
            generation: 1,
            attempt: 0,
            windows: Window::all(&settings),
            warm: false,
            level: 0,
            permits: 0,
            touched: now,
            told: Vec::new(),
            in_two_steps: false,
            second_step: None,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn pass(&mut self, ticks: u64) {
        self.now += ticks;
    }

    /// How far the clock may move before a distance exceeds 32 bits, the bound that the crate documents.
    pub(crate) fn headroom(&self) -> u64 {
        let phase = match &self.phase {
            Phase::Open { since, .. } | Phase::Ramping { since, .. } => since + WRAP - 1 - self.now,
            Phase::HalfOpen(probes) if !probes.out.is_empty() => probes.latest_admission + WRAP - 1 - self.now,
            _ => u64::MAX,
        };
        match self.settings.shape.time {
            Some((_, bucket)) if self.records() => phase.min(self.touched + WRAP - 2 * bucket - self.now),
            _ => phase,
        }
    }

    /// Distances to the moments at which something changes by time alone.
    pub(crate) fn edges(&self) -> Vec<u64> {
        let mut at = Vec::new();
        match &self.phase {
            Phase::Open { since, lasts, .. } => at.push(since + lasts),
            Phase::HalfOpen(probes) => at.push(probes.latest_admission + self.settings.lease()),
            Phase::Ramping { since, lasts, .. } => {
                at.extend([since + lasts, since + (lasts * self.share(*since, *lasts)).div_ceil(16)]);
            }
            _ => {}
        }
        if let Some((buckets, bucket)) = self.settings.shape.time {
            let next = (self.now / bucket + 1) * bucket;
            at.extend([next, next + bucket * (u64::from(buckets) - 1)]);
        }
        at.into_iter().filter_map(|at| at.checked_sub(self.now)).collect()
    }

    pub(crate) fn view(&self) -> View {
        View {
            state: self.state(),
            reason: self.reason(),
            level: if self.records() { self.level } else { 0 },
            attempt: self.attempt,
            generation: self.generation,
            retry_in: self.retry_in(),
            probes_in_flight: if let Phase::HalfOpen(probes) = &self.phase { probes.out.len() } else { 0 },
            shadow: self.shadow,
            sums: self.windows[0].sums(self.now),
        }
    }

    fn state(&self) -> State {
        match &self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::Latched => State::Latched,
            Phase::HalfOpen(_) => State::HalfOpen,
            Phase::Ramping { .. } => State::Ramping,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
        }
    }

    fn reason(&self) -> Option<OpenReason> {
        if let Phase::Open { reason, .. } = &self.phase { Some(*reason) } else { None }
    }

    fn records(&self) -> bool {
        matches!(self.phase, Phase::Closed | Phase::Ramping { .. })
    }

    fn retry_in(&self) -> Option<u64> {
        match &self.phase {
            Phase::Closed | Phase::Ramping { .. } | Phase::Disabled => Some(0),
            Phase::Open { since, lasts, .. } => Some((since + lasts).saturating_sub(self.now)),
            Phase::HalfOpen(probes) => {
                if probes.has_room(&self.settings) || probes.verdict(&self.settings).is_some() {
                    Some(0)
                } else {
                    Some((probes.latest_admission + self.settings.lease()).saturating_sub(self.now))
                }
            }
            Phase::Latched | Phase::ForcedOpen => None,
        }
    }

    /// How many sixteenths of the calls a ramp admits now.
    fn share(&self, since: u64, lasts: u64) -> u64 {
        1 + 16 * (self.now - since) / lasts
    }

    fn tell_move(&mut self, from: State, cause: Option<Sums>) {
        let lasts = match &self.phase {
            Phase::Open { lasts, .. } | Phase::Ramping { lasts, .. } => Some(*lasts),
            _ => None,
        };
        self.told.push(Told::Moved(Move {
            from,
            to: self.state(),
            reason: self.reason(),
            generation: self.generation,
            attempt: self.attempt,
            lasts,
            cause,
        }));
    }

    /// Begins a generation: no earlier report counts any more.
    fn enter(&mut self, phase: Phase, cause: Option<Sums>) {
        let from = self.state();
        self.phase = phase;
        self.generation += 1;
        self.windows.iter_mut().for_each(Window::clear);
        self.warm = false;
        self.level = 0;
        self.touched = self.now;
        self.tell_move(from, cause);
    }

    fn open(&mut self, reason: OpenReason, cause: Sums) {
        let lasts = self.settings.open_time(self.attempt);
        self.enter(Phase::Open { reason, since: self.now, lasts }, Some(cause));
    }

    /// Makes the move that follows from a verdict; `cause` are the sums that the verdict rests on.
    fn carry_out(&mut self, verdict: Verdict, cause: Sums) -> Effect {
        match (verdict, self.settings.ramp()) {
            (Verdict::Reopen(reason), _) => {
                self.attempt = (self.attempt + 1).min(31);
                self.open(reason, cause);
                Effect::Opened(reason)
            }
            (Verdict::Close, Some(lasts)) => {
                self.enter(Phase::Ramping { since: self.now, lasts, calls: 0 }, Some(cause));
                Effect::Ramping
            }
            (Verdict::Close, None) => {
                self.attempt = 0;
                self.enter(Phase::Closed, Some(cause));
                Effect::Closed
            }
        }
    }

    fn permit(&mut self, kind: Kind) -> Permit {
        self.told.push(Told::Permit { probe: kind == Kind::Probe });
        self.permits += 1;
        Permit {
            id: self.permits,
            generation: self.generation,
            kind,
            level: if self.records() { self.level } else { 0 },
            started: self.settings.slow_after().map(|_| self.now),
        }
    }

    fn reject(&mut self, reason: RejectReason, retry_in: Option<u64>) -> Result<Permit, Rejection> {
        if self.shadow {
            self.told.push(Told::WouldReject(reason));
            return Ok(self.permit(Kind::Uncounted));
        }
        self.told.push(Told::Rejected(reason));
        Err(Rejection { reason, retry_in })
    }

    /// Makes the move that is due, as a caller does before it gets its answer. `false` if none is due.
    pub(crate) fn make_due_move(&mut self) -> bool {
        let now = self.now;
        match &mut self.phase {
            Phase::Open { since, lasts, .. } if now >= *since + *lasts => {
                self.enter(Phase::HalfOpen(Probes::default()), None);
            }
            Phase::HalfOpen(probes) => {
                if let Some(verdict) = probes.verdict(&self.settings) {
                    let sums = probes.sums(&self.settings);
                    self.carry_out(verdict, sums);
                } else if !probes.has_room(&self.settings) && now >= probes.latest_admission + self.settings.lease() {
                    // The probes in flight are lost. They count as failed (by rates as slow too); later reports are
                    // stale.
                    let lost = u32::try_from(probes.out.len()).unwrap();
                    probes.bad += lost;
                    probes.slow += if self.settings.judges_by_rates() { lost } else { 0 };
                    probes.out.clear();
                } else {
                    return false;
                }
            }
            Phase::Ramping { since, lasts, .. } if now >= *since + *lasts => {
                // The window and the generation go on.
                self.phase = Phase::Closed;
                self.attempt = 0;
                self.tell_move(State::Ramping, None);
            }
            _ => return false,
        }
        true
    }

    pub(crate) fn acquire(&mut self) -> Result<Permit, Rejection> {
        while self.make_due_move() {}
        let now = self.now;
        match &mut self.phase {
            Phase::Closed => Ok(self.permit(Kind::Ordinary)),
            Phase::Open { reason, since, lasts } => {
                let (reason, rest) = (RejectReason::Open(*reason), *since + *lasts - now);
                self.reject(reason, Some(rest))
            }
            Phase::Latched => self.reject(RejectReason::Latched, None),
            Phase::HalfOpen(probes) if probes.has_room(&self.settings) => {
                probes.latest_admission = now;
                let permit = self.permit(Kind::Probe);
                if let Phase::HalfOpen(probes) = &mut self.phase {
                    probes.out.insert(permit.id);
                }
                Ok(permit)
            }
            Phase::HalfOpen(probes) => {
                let rest = probes.latest_admission + self.settings.lease() - now;
                self.reject(RejectReason::HalfOpen, Some(rest))
            }
            Phase::Ramping { since, lasts, calls } => {
                let (since, lasts, call) = (*since, *lasts, *calls);
                *calls += 1;
                let share = self.share(since, lasts);
                if call % 16 * share % 16 < share {
                    return Ok(self.permit(Kind::Ordinary));
                }
                let grows = since + (lasts * share).div_ceil(16);
                self.reject(RejectReason::Ramping, Some(grows.saturating_sub(now).max(1)))
            }
            Phase::ForcedOpen => self.reject(RejectReason::ForcedOpen, None),
            Phase::Disabled => Ok(self.permit(Kind::Uncounted)),
        }
    }

    /// Whether no report on `permit` changes anything any more, except a hold or a latch while the circuit is open.
    pub(crate) fn is_inert(&self, permit: &Permit) -> bool {
        permit.kind == Kind::Uncounted || permit.generation != self.generation
    }

    /// Counts the call of a report in the time window's total, but not its outcome. Other threads may see this state
    /// for a moment. `false` if this report has no such moment.
    pub(crate) fn count_call(&mut self, permit: &Permit) -> bool {
        let ours = permit.kind == Kind::Ordinary && permit.generation == self.generation && self.records();
        let time = self.windows.iter_mut().find(|window| matches!(window, Window::Time { .. }));
        match time {
            Some(window) if ours => {
                window.record(Mark { failed: false, slow: false }, self.now);
                true
            }
            _ => false,
        }
    }

    /// Undoes [`count_call`](Self::count_call), before the whole report is recorded.
    pub(crate) fn uncount_call(&mut self, permit: &Permit) {
        if permit.generation != self.generation {
            return;
        }
        for window in &mut self.windows {
            if let Window::Time { outcomes, .. } = window
                && let Some(index) = outcomes.iter().rposition(|(_, mark)| !mark.failed && !mark.slow)
            {
                outcomes.remove(index);
            }
        }
    }

    /// Records a report. `elapsed` is the caller's own measure of the call, if it gave one.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is reported once")]
    pub(crate) fn record(&mut self, permit: Permit, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
        let took = elapsed.map(ticks_in).or(permit.started.map(|started| self.now - started));
        let too_long = took.zip(self.settings.slow_after()).is_some_and(|(took, limit)| took > limit);
        let good = Mark { failed: false, slow: false };
        let (kind, slow, effect) = match outcome {
            Outcome::Success => (ReportKind::Success, too_long, self.count(&permit, Mark { slow: too_long, ..good })),
            Outcome::Slow => (ReportKind::Success, true, self.count(&permit, Mark { slow: true, ..good })),
            Outcome::Failure(kind) => {
                let mark = Mark { failed: true, slow: too_long };
                (ReportKind::Failure(kind), too_long, self.count(&permit, mark))
            }
            Outcome::Alive if permit.is_probe() => (ReportKind::Alive, false, self.count(&permit, good)),
            Outcome::Alive => (ReportKind::Alive, false, self.give_back(&permit)),
            Outcome::Ignored => (ReportKind::Ignored, false, self.give_back(&permit)),
            Outcome::Hold(_) | Outcome::Latch if !permit.is_counted() => {
                let kind = if outcome == Outcome::Latch { ReportKind::Latch } else { ReportKind::Hold };
                (kind, false, Effect::Uncounted)
            }
            Outcome::Hold(time) => {
                (ReportKind::Hold, false, self.open_for(Some(permit.generation), OpenReason::Hold, time))
            }
            Outcome::Latch => (ReportKind::Latch, false, self.open_for_good(Some(permit.generation))),
            _ => unreachable!("not drawn"),
        };
        self.tell_report(kind, slow, effect);
        effect
    }

    /// Drops a permit without a report. The call counts as cancelled, or as failed if it outlived the slow limit.
    pub(crate) fn cancel(&mut self, permit: Permit) {
        let outlived = permit.started.zip(self.settings.slow_after());
        if outlived.is_some_and(|(started, limit)| self.now - started > limit) {
            self.record(permit, Outcome::Failure(FailureKind::Timeout), None);
        } else {
            let effect = self.give_back(&permit);
            self.tell_report(ReportKind::Cancelled, false, effect);
        }
    }

    fn tell_report(&mut self, kind: ReportKind, slow: bool, effect: Effect) {
        let failed_at = matches!(kind, ReportKind::Failure(_)).then_some(self.now);
        self.told.push(Told::Report { kind, slow, effect, failed_at });
    }

    fn count(&mut self, permit: &Permit, mark: Mark) -> Effect {
        match permit.kind {
            Kind::Uncounted => Effect::Uncounted,
            _ if permit.generation != self.generation => Effect::Stale,
            Kind::Probe => self.settle_probe(permit, Some(mark)),
            Kind::Ordinary => self.count_in_windows(mark),
        }
    }

    fn give_back(&mut self, permit: &Permit) -> Effect {
        match permit.kind {
            Kind::Uncounted => Effect::Uncounted,
            _ if permit.generation != self.generation => Effect::Stale,
            Kind::Probe => self.settle_probe(permit, None),
            Kind::Ordinary => Effect::Neutral,
        }
    }

    fn settle_probe(&mut self, permit: &Permit, mark: Option<Mark>) -> Effect {
        let Phase::HalfOpen(probes) = &mut self.phase else { unreachable!("a probe of this generation") };
        // The results can already be complete here only after a reload. Then this report comes too late.
        if let Some(verdict) = probes.verdict(&self.settings) {
            let sums = probes.sums(&self.settings);
            self.carry_out(verdict, sums);
            return Effect::Stale;
        }
        if !probes.out.remove(&permit.id) {
            return Effect::Stale;
        }
        let Some(mark) = mark else { return Effect::Neutral };
        probes.count(&self.settings, mark);
        let (verdict, sums) = (probes.verdict(&self.settings), probes.sums(&self.settings));
        verdict.map_or(Effect::Counted, |verdict| self.move_on(Call::CarryOut(verdict), sums))
    }

    /// Makes the move now, or leaves it to a second step.
    fn move_on(&mut self, call: Call, sums: Sums) -> Effect {
        let step = SecondStep { generation: self.generation, call, sums };
        if self.in_two_steps {
            self.second_step = Some(step);
            return Effect::Counted;
        }
        self.follow(step)
    }

    pub(crate) fn follow(&mut self, step: SecondStep) -> Effect {
        match step.call {
            _ if step.generation != self.generation => Effect::Counted,
            Call::Open(reason) => {
                self.open(reason, step.sums);
                Effect::Opened(reason)
            }
            Call::CarryOut(verdict) => self.carry_out(verdict, step.sums),
        }
    }

    fn count_in_windows(&mut self, mark: Mark) -> Effect {
        let (now, level) = (self.now, self.level);
        let everyone_judges = level > 0 || (self.settings.shape.has_shares() && !self.warm);
        self.touched = now;
        let mut bad = false;
        for window in &mut self.windows {
            bad |= window.record(mark, now);
        }
        if !bad && !everyone_judges {
            return Effect::Counted;
        }
        let opinions: Vec<Opinion> =
            self.windows.iter().map(|window| window.judge(&self.settings, now, mark, level)).collect();
        for opinion in &opinions {
            if let Some(reason) = opinion.trip {
                return self.move_on(Call::Open(reason), opinion.sums);
            }
        }
        self.warm |= opinions.iter().all(|opinion| opinion.ripe);
        let level = opinions.iter().map(|opinion| opinion.level).max().unwrap_or(0);
        self.level = if self.settings.levels() { level } else { 0 };
        Effect::Counted
    }

    /// Opens for the time given. `own` is the generation of the permit that reports it; `None` if it comes by hand.
    fn open_for(&mut self, own: Option<u64>, reason: OpenReason, time: Duration) -> Effect {
        let asked = self.settings.hold(time);
        let stale = own.is_some_and(|own| own != self.generation);
        match &self.phase {
            Phase::Open { since, lasts, .. } if (since + lasts).saturating_sub(self.now) >= asked => {
                return Effect::Unchanged;
            }
            Phase::Open { .. } => {}
            _ if stale => return Effect::Stale,
            Phase::Closed | Phase::HalfOpen(_) | Phase::Ramping { .. } => {}
            Phase::Latched | Phase::ForcedOpen | Phase::Disabled => return Effect::Unchanged,
        }
        let lasts = super::settings::significant(asked, 19);
        self.enter(Phase::Open { reason, since: self.now, lasts }, None);
        Effect::Opened(reason)
    }

    fn open_for_good(&mut self, own: Option<u64>) -> Effect {
        let stale = own.is_some_and(|own| own != self.generation);
        match &self.phase {
            Phase::Open { .. } => {}
            _ if stale => return Effect::Stale,
            Phase::Closed | Phase::HalfOpen(_) | Phase::Ramping { .. } => {}
            Phase::Latched | Phase::ForcedOpen | Phase::Disabled => return Effect::Unchanged,
        }
        self.enter(Phase::Latched, None);
        Effect::Latched
    }

    pub(crate) fn trip(&mut self, reason: OpenReason, time: Duration) -> Effect {
        self.open_for(None, reason, time)
    }

    pub(crate) fn latch(&mut self) -> Effect {
        self.open_for_good(None)
    }

    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
        self.enter(Phase::Closed, None);
    }

    /// `false` if it is forced open already.
    pub(crate) fn force_open(&mut self) -> bool {
        let moves = !matches!(self.phase, Phase::ForcedOpen);
        if moves {
            self.attempt = 0;
            self.enter(Phase::ForcedOpen, None);
        }
        moves
    }

    /// `false` if it is disabled already.
    pub(crate) fn disable(&mut self) -> bool {
        let moves = !matches!(self.phase, Phase::Disabled);
        if moves {
            self.attempt = 0;
            self.enter(Phase::Disabled, None);
        }
        moves
    }

    /// Switches to shadow or back to on. A state that only the switch ends (forced open, disabled) is reset to closed.
    pub(crate) fn switch_shadow(&mut self, on: bool) {
        let begins = matches!(self.phase, Phase::ForcedOpen | Phase::Disabled);
        self.shadow |= on;
        if begins {
            self.reset();
        }
        self.shadow = on;
    }

    /// Takes other settings of the same shape. Every outcome is judged until the generation is warm by the new
    /// settings.
    pub(crate) fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
        self.warm = false;
    }
}
