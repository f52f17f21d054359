//! The breaker as the design describes it: sequential, slow and plain. Time is 64 bits wide and never wraps. A window
//! is a queue of outcomes. A value that may be absent is an `Option`.

#[path = "windows.rs"]
mod windows;

use core::time::Duration;

use microbreaker::{
    Effect, FailureKind, HORIZON, OpenReason, Outcome, RejectReason, ReportKind, State, Tripped, WindowKind,
};

use super::settings::{Settings, at_least, ticks_in};
pub(crate) use windows::Sums;
use windows::{Mark, Opinion, Window, degrade, over_threshold};

/// The real clock wraps after this many ticks.
const WRAP: u64 = 1 << 32;
/// The number of generations that the crate tells apart.
pub(crate) const GENERATIONS: u64 = 1 << 16;
/// The most slack that a clock may have.
const SLACK_MAX: u64 = 1023;
/// More than anything lasts: the horizon, and a quarter of jitter, or of the memory after a ramp.
const LONGEST: u64 = HORIZON as u64 + HORIZON as u64 / 4 + SLACK_MAX + 1;

/// A transition. `cause` holds the sums that led to it, or those of the window before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) generation: u64,
    pub(crate) attempt: u8,
    pub(crate) lasts: Option<u64>,
    pub(crate) cause: Sums,
}

/// One thing that the breaker tells its observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    Moved(Move),
    Permit { probe: bool },
    Rejected(RejectReason),
    WouldReject(RejectReason),
    Anyway(RejectReason),
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

/// What a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) state: State,
    pub(crate) reason: Option<OpenReason>,
    pub(crate) attempt: u8,
    pub(crate) remaining: u64,
    /// Of a ramp: whether it recovers from a doubt about the peer's health.
    doubted: bool,
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
    pub(crate) generation: u64,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Verdict {
    Close,
    Reopen(OpenReason),
}

/// The probes of one half-open state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Probes {
    out: u32,
    results: u32,
    failed: u32,
    slow: u32,
    /// How many were admitted.
    admitted: u64,
}

impl Probes {
    /// The probe of the caller that makes the circuit half-open.
    fn opener() -> Self {
        Self { out: 1, admitted: 1, ..Self::default() }
    }

    /// The sums if so many lost probes count as failed.
    fn sums(&self, lost: u32) -> Sums {
        Sums { window: WindowKind::Probes, total: self.results + lost, failed: self.failed + lost, slow: self.slow }
    }

    fn has_room(&self, settings: &Settings) -> bool {
        (self.out as usize) < settings.at_once() && ((self.out + self.results) as usize) < settings.probes()
    }

    fn verdict(&self, settings: &Settings) -> Option<Verdict> {
        if settings.judges_by_rates() {
            let minimum = settings.minimum().min(u32::try_from(settings.probes()).unwrap());
            (self.results >= minimum)
                .then(|| over_threshold(settings, minimum, self.sums(0)).map_or(Verdict::Close, Verdict::Reopen))
        } else if self.failed > 0 {
            Some(Verdict::Reopen(OpenReason::Failures))
        } else if self.slow > 0 {
            Some(Verdict::Reopen(OpenReason::Slow))
        } else {
            (self.results >= settings.successes()).then_some(Verdict::Close)
        }
    }

    fn count(&mut self, mark: Mark) {
        self.results += 1;
        self.failed += u32::from(mark.failed);
        self.slow += u32::from(mark.slow);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// `remembers`: a failure that opens the circuit is one more in a row.
    Closed {
        remembers: bool,
    },
    /// `given`: the open time does not follow from the attempt.
    Open {
        reason: OpenReason,
        given: Option<u64>,
    },
    Latched,
    HalfOpen {
        reason: OpenReason,
        probes: Probes,
    },
    /// `doubted`: it recovers from a doubt about the peer's health.
    Ramping {
        calls: u64,
        doubted: bool,
    },
    ForcedOpen,
    Disabled,
}

/// What came of opening the circuit for a time.
enum Opened {
    Moved,
    Covered(Option<u64>),
    Off,
    Stale,
}

/// The state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Model {
    now: u64,
    /// The clock's slack.
    slack: u64,
    settings: Settings,
    /// Whether there may be more than one probe. If there may not, each probe after a cancelled one begins a generation.
    many: bool,
    shadow: bool,
    seed: u32,
    phase: Phase,
    generation: u64,
    /// The latest deadline: the end of an open time, of a lease, of a ramp and of the memory of the attempt after it.
    due: u64,
    /// The longest that anything lasts by the settings, and by those before them.
    longest: u64,
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
    /// A breaker with live settings, by a clock whose time moves in whole ticks.
    pub(crate) fn new(settings: Settings, now: u64) -> Self {
        Self {
            now,
            slack: 0,
            settings,
            many: true,
            shadow: false,
            seed: 0,
            phase: Phase::Closed { remembers: false },
            generation: 0,
            due: 0,
            longest: settings.longest(),
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

    /// By a clock with this slack.
    pub(crate) fn with_slack(self, slack: u32) -> Self {
        Self { slack: slack.into(), ..self }
    }

    /// With settings that are constants: where only one probe is configured, there never are more.
    pub(crate) fn with_fixed_settings(self, seed: u32) -> Self {
        Self { many: self.settings.probes() > 1 || self.settings.judges_by_rates(), seed, ..self }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn pass(&mut self, ticks: u64) {
        self.now += ticks;
    }

    /// How far the clock may move before a distance exceeds the bound that the crate documents: a deadline that is
    /// further away than anything lasts is over, until the clock has come round. `None`: it has moved too far.
    pub(crate) fn headroom(&self) -> Option<u64> {
        let longest = match &self.phase {
            Phase::Open { given: Some(given), .. } => Some(*given),
            Phase::HalfOpen { probes, .. } if probes.out == 0 => None,
            Phase::Open { .. } | Phase::HalfOpen { .. } | Phase::Ramping { .. } | Phase::Closed { remembers: true } => {
                Some(self.longest)
            }
            _ => None,
        };
        // What is further away is over. The room for it is a power of two, with room for the greatest slack.
        let most = longest.map(|longest| (longest + SLACK_MAX + 1).next_power_of_two());
        // By a clock whose time moves in whole ticks, a deadline has 31 bits, and the longest times have less room.
        let (wrap, room) = if self.slack == 0 { (WRAP / 2, LONGEST) } else { (WRAP, u64::MAX) };
        let deadline = most.map_or(u64::MAX, |most| self.due + wrap - most.min(room) - 1);
        let end = match self.settings.shape.time {
            Some((_, bucket)) if self.records() => deadline.min(self.touched + WRAP - 2 * bucket),
            _ => deadline,
        };
        end.checked_sub(self.now)
    }

    /// Distances to the moments at which something changes by time alone.
    pub(crate) fn edges(&self) -> Vec<u64> {
        let mut at = vec![self.due];
        if let Phase::Ramping { .. } = &self.phase {
            at.extend([self.due.saturating_sub(self.settings.stable_after()), self.now + self.ramp().1]);
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
            level: self.level(),
            attempt: self.attempt,
            generation: self.generation % GENERATIONS,
            retry_in: self.retry_in(),
            probes_in_flight: if let Phase::HalfOpen { probes, .. } = &self.phase { probes.out as usize } else { 0 },
            shadow: self.shadow,
            sums: self.windows[0].sums(self.now),
        }
    }

    fn state(&self) -> State {
        match &self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::Latched => State::Latched,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Ramping { .. } => State::Ramping,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
        }
    }

    fn reason(&self) -> Option<OpenReason> {
        match &self.phase {
            Phase::Open { reason, .. } | Phase::HalfOpen { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// Whether nothing but a doubt about the peer's health speaks against a call.
    fn is_doubted(&self) -> bool {
        match &self.phase {
            Phase::Open { reason, .. } | Phase::HalfOpen { reason, .. } => reason.is_doubt(),
            Phase::Ramping { doubted, .. } => *doubted,
            _ => false,
        }
    }

    fn records(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. } | Phase::Ramping { .. })
    }

    fn level(&self) -> u8 {
        match &self.windows[..] {
            _ if !self.records() || !self.settings.levels() => 0,
            [Window::Streak { threshold, run }] => degrade(0, (*run).into(), (*threshold).into()),
            _ => self.level,
        }
    }

    /// Ticks until the deadline.
    fn left(&self) -> u64 {
        self.due.saturating_sub(self.now)
    }

    /// How many sixteenths of the calls a ramp admits now, and the ticks until it admits one more. Each of the sixteen steps
    /// is as long as the others; the last ends with the ramp.
    fn ramp(&self) -> (u64, u64) {
        let left = self.left().saturating_sub(self.settings.stable_after());
        let step = self.settings.ramp_step().unwrap_or(1);
        let steps_left = left.div_ceil(step).clamp(1, 16);
        (17 - steps_left, left - (steps_left - 1) * step)
    }

    fn retry_in(&self) -> Option<u64> {
        match &self.phase {
            Phase::Closed { .. } | Phase::Ramping { .. } | Phase::Disabled => Some(0),
            Phase::HalfOpen { probes, .. }
                if probes.has_room(&self.settings) || probes.verdict(&self.settings).is_some() =>
            {
                Some(0)
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => Some(self.left()),
            Phase::Latched | Phase::ForcedOpen => None,
        }
    }

    /// The rejection that a caller would get now; `None` if it may be admitted.
    pub(crate) fn peek(&self) -> Option<Rejection> {
        let retry_in = self.retry_in();
        if self.shadow || retry_in == Some(0) {
            return None;
        }
        let reason = match &self.phase {
            Phase::Open { reason, .. } => RejectReason::Open(*reason),
            Phase::HalfOpen { .. } => RejectReason::HalfOpen,
            Phase::Latched => RejectReason::Latched,
            _ => RejectReason::ForcedOpen,
        };
        Some(Rejection { reason, retry_in })
    }

    /// Whether nothing is remembered against the peer.
    pub(crate) fn is_clean(&self) -> bool {
        let forgets = match &self.phase {
            Phase::Closed { remembers } => !remembers || self.left() == 0,
            _ => false,
        };
        let clean = |window: &Window| {
            let sums = window.sums(self.now);
            sums.failed == 0 && sums.slow == 0
        };
        forgets && self.windows.iter().all(clean)
    }

    /// Begins a generation: no earlier report counts any more. `lasts`: the length of the period that begins: one does in every
    /// state but closed without an attempt.
    /// `cause`: the sums that led here, if it was not the window's.
    fn enter(&mut self, phase: Phase, lasts: Option<u64>, cause: Option<Sums>) {
        let from = self.state();
        let cause = cause.unwrap_or_else(|| self.windows[0].sums(self.now));
        // A move that begins a period flips the parity of its deadline, and no other move does.
        let before = self.turn();
        self.phase = phase;
        self.generation += 2 - (u64::from(lasts.is_some()) + before + self.turn()) % 2;
        self.windows.iter_mut().for_each(Window::clear);
        self.warm = false;
        self.level = 0;
        self.touched = self.now;
        if let Some(lasts) = lasts {
            self.begin(lasts);
        }
        // The next probe, after one that was cancelled, is no transition.
        if from != State::HalfOpen || self.state() != State::HalfOpen {
            self.tell_move(from, cause);
        }
    }

    /// The turn of a half-open state of many probes: each admission begins a lease, the first one together with the state.
    fn turn(&self) -> u64 {
        match &self.phase {
            Phase::HalfOpen { probes, .. } if self.many => probes.admitted + 1,
            _ => 0,
        }
    }

    /// Begins a period. By a clock that rounds, its deadline is the next reading whose lowest bit is the parity of
    /// generation and turn.
    fn begin(&mut self, lasts: u64) {
        self.due = self.now + lasts + self.slack;
        if self.slack > 0 {
            self.due += (self.due + self.generation + self.turn()) % 2;
        }
    }

    fn tell_move(&mut self, from: State, cause: Sums) {
        let lasts = match &self.phase {
            Phase::Open { .. } => Some(self.left()),
            Phase::Ramping { .. } => Some(self.left().saturating_sub(self.settings.stable_after())),
            _ => None,
        };
        self.told.push(Told::Moved(Move {
            from,
            to: self.state(),
            reason: self.reason(),
            generation: self.generation % GENERATIONS,
            attempt: self.attempt,
            lasts,
            cause,
        }));
    }

    /// The open time that begins now.
    fn open_time(&self) -> u64 {
        let time = self.settings.open_time(self.attempt);
        if !self.settings.jitters() {
            return time;
        }
        // Up to a quarter more, by the upper half of a product with 2^32 divided by the golden ratio (Knuth's Fibonacci
        // hashing).
        let key = (self.now ^ u64::from(self.seed)) % WRAP;
        let random = key * 0x9E37_79B9 % WRAP / (1 << 16);
        time + time / 4 * random / (1 << 16)
    }

    /// Opens by what the window or a probe showed. `grows`: this failure is one more in a row.
    fn open(&mut self, reason: OpenReason, grows: bool, cause: Sums) {
        if grows {
            self.attempt = (self.attempt + 1).min(31);
        }
        self.enter(Phase::Open { reason, given: None }, Some(self.open_time()), Some(cause));
    }

    /// A closed circuit. The crate keeps the attempt that the next failure would open with, which is at most 31. So an attempt
    /// that is remembered is at most 30.
    fn closed(&mut self, remembers: bool) -> Phase {
        self.attempt = if remembers { self.attempt.min(30) } else { 0 };
        Phase::Closed { remembers }
    }

    /// The peer has recovered, or nothing speaks against it any more.
    fn recover(&mut self, cause: Option<Sums>) -> Effect {
        if let Some(step) = self.settings.ramp_step() {
            let doubted = self.is_doubted();
            self.enter(Phase::Ramping { calls: 0, doubted }, Some(16 * step + self.settings.stable_after()), cause);
            Effect::Ramping
        } else {
            let memory = self.settings.stable_after();
            let phase = self.closed(memory > 0);
            self.enter(phase, (memory > 0).then_some(memory), cause);
            Effect::Closed
        }
    }

    /// Makes the move that follows from a verdict; `cause` are the sums that the verdict rests on.
    fn carry_out(&mut self, verdict: Verdict, cause: Sums) -> Effect {
        match verdict {
            Verdict::Reopen(reason) => {
                self.open(reason, true, cause);
                Effect::Opened(reason)
            }
            Verdict::Close => self.recover(Some(cause)),
        }
    }

    fn permit(&mut self, kind: Kind) -> Permit {
        self.told.push(Told::Permit { probe: kind == Kind::Probe });
        self.permits += 1;
        Permit {
            id: self.permits,
            generation: self.generation,
            kind,
            level: self.level(),
            started: self.settings.slow_after().map(|_| self.now),
        }
    }

    fn reject(&mut self, rejection: Rejection) -> Result<Permit, Rejection> {
        if self.shadow {
            self.told.push(Told::WouldReject(rejection.reason));
            return Ok(self.permit(Kind::Uncounted));
        }
        self.told.push(Told::Rejected(rejection.reason));
        Err(rejection)
    }

    /// Makes the move that a caller makes before it asks: a closed circuit that was stable for long enough forgets its
    /// attempt. `false` if it has nothing to forget.
    pub(crate) fn make_due_move(&mut self) -> bool {
        let forgets = matches!(self.phase, Phase::Closed { remembers: true }) && self.left() == 0;
        if forgets {
            self.phase = self.closed(false);
        }
        forgets
    }

    pub(crate) fn acquire(&mut self) -> Result<Permit, Rejection> {
        match self.ask() {
            Ok(kind) => Ok(self.permit(kind)),
            Err(rejection) => self.reject(rejection),
        }
    }

    /// [`acquire`](Self::acquire), past a mere doubt about the peer's health.
    pub(crate) fn acquire_anyway(&mut self) -> Result<Permit, Rejection> {
        match self.ask() {
            Ok(kind) => Ok(self.permit(kind)),
            Err(rejection) if self.is_doubted() && !self.shadow => {
                self.told.push(Told::Anyway(rejection.reason));
                Ok(self.permit(Kind::Uncounted))
            }
            Err(rejection) => self.reject(rejection),
        }
    }

    /// The answer to a caller, after the one move that it may have to make.
    fn ask(&mut self) -> Result<Kind, Rejection> {
        self.make_due_move();
        let (left, now) = (self.left(), self.now);
        let refused = |reason, retry_in| Err(Rejection { reason, retry_in });
        match self.phase.clone() {
            Phase::Closed { .. } => Ok(Kind::Ordinary),
            Phase::Disabled => Ok(Kind::Uncounted),
            Phase::Latched => refused(RejectReason::Latched, None),
            Phase::ForcedOpen => refused(RejectReason::ForcedOpen, None),
            Phase::Open { reason, .. } if left > 0 => refused(RejectReason::Open(reason), Some(left)),
            Phase::Open { reason: OpenReason::Budget, .. } => {
                // Nothing suggests that the peer is sick.
                self.recover(None);
                Ok(Kind::Ordinary)
            }
            Phase::Open { reason, .. } => {
                let probes = Probes::opener();
                self.enter(Phase::HalfOpen { reason, probes }, Some(self.settings.lease()), None);
                Ok(Kind::Probe)
            }
            Phase::HalfOpen { reason, mut probes } => {
                if let Some(verdict) = probes.verdict(&self.settings) {
                    // Complete by a reload, or left to be carried out by another thread.
                    return match self.carry_out(verdict, probes.sums(0)) {
                        Effect::Opened(reason) => refused(RejectReason::Open(reason), Some(self.left())),
                        _ => Ok(Kind::Ordinary),
                    };
                }
                if probes.has_room(&self.settings) {
                    if self.many {
                        probes.out += 1;
                        probes.admitted += 1;
                        self.phase = Phase::HalfOpen { reason, probes };
                        self.begin(self.settings.lease());
                    } else {
                        let probes = Probes::opener();
                        self.enter(Phase::HalfOpen { reason, probes }, Some(self.settings.lease()), None);
                    }
                    return Ok(Kind::Probe);
                }
                if left > 0 {
                    return refused(RejectReason::HalfOpen, Some(left));
                }
                // The probes in flight are lost, and count as failed.
                self.open(OpenReason::Failures, true, probes.sums(probes.out));
                refused(RejectReason::Open(OpenReason::Failures), Some(self.left()))
            }
            Phase::Ramping { .. } if left <= self.settings.stable_after() => {
                // The window and the generation go on.
                self.phase = self.closed(self.settings.stable_after() > 0);
                self.tell_move(State::Ramping, self.windows[0].sums(now));
                Ok(Kind::Ordinary)
            }
            Phase::Ramping { calls, doubted } => {
                let (share, until_more) = self.ramp();
                self.phase = Phase::Ramping { calls: calls + 1, doubted };
                if calls % 16 * share % 16 < share {
                    return Ok(Kind::Ordinary);
                }
                refused(RejectReason::Ramping, Some(until_more))
            }
        }
    }

    /// Whether no report on `permit` changes anything any more, except a hold or a latch while the circuit is open.
    pub(crate) fn is_inert(&self, permit: &Permit) -> bool {
        permit.kind == Kind::Uncounted || permit.generation != self.generation
    }

    /// Whether `permit` is a probe in flight of the present half-open state, whose latest lease is over.
    pub(crate) fn is_overdue(&self, permit: &Permit) -> bool {
        matches!(self.phase, Phase::HalfOpen { .. }) && self.left() == 0 && permit.is_probe() && !self.is_inert(permit)
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
        let took = elapsed.map(ticks_in).or(permit.started.map(|started| self.took(started)));
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
                let effect = match self.open_for(Some(permit.generation), OpenReason::Hold, self.capped(time)) {
                    Opened::Moved => Effect::Opened(OpenReason::Hold),
                    Opened::Covered(_) | Opened::Off => Effect::Unchanged,
                    Opened::Stale => Effect::Stale,
                };
                (ReportKind::Hold, false, effect)
            }
            Outcome::Latch => (ReportKind::Latch, false, self.open_for_good(Some(permit.generation))),
            _ => unreachable!("not drawn"),
        };
        self.tell_report(kind, slow, effect);
        effect
    }

    /// The ticks since a reading that have certainly passed, and one more: a comparison with a limit allows for that.
    fn took(&self, started: u64) -> u64 {
        (self.now - started).saturating_sub(self.slack.saturating_sub(1))
    }

    /// Drops a permit without a report. The call counts as cancelled, or as failed if it outlived the slow limit.
    pub(crate) fn cancel(&mut self, permit: Permit) {
        let outlived = permit.started.zip(self.settings.slow_after());
        if outlived.is_some_and(|(started, limit)| self.took(started) > limit) {
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
            Kind::Probe => self.settle_probe(Some(mark)),
            Kind::Ordinary => self.count_in_windows(mark),
        }
    }

    fn give_back(&mut self, permit: &Permit) -> Effect {
        match permit.kind {
            Kind::Uncounted => Effect::Uncounted,
            _ if permit.generation != self.generation => Effect::Stale,
            Kind::Probe => self.settle_probe(None),
            Kind::Ordinary => Effect::Neutral,
        }
    }

    fn settle_probe(&mut self, mark: Option<Mark>) -> Effect {
        let Phase::HalfOpen { probes, .. } = &mut self.phase else { unreachable!("a probe of this generation") };
        // The results can already be complete here only after a reload. Then this report comes too late.
        if let Some(verdict) = probes.verdict(&self.settings) {
            let sums = probes.sums(0);
            self.carry_out(verdict, sums);
            return Effect::Stale;
        }
        probes.out -= 1;
        let Some(mark) = mark else { return Effect::Neutral };
        probes.count(mark);
        let (verdict, sums) = (probes.verdict(&self.settings), probes.sums(0));
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
                self.make_due_move();
                // A peer that fails again while its attempt is remembered has not recovered.
                let grows = matches!(self.phase, Phase::Closed { remembers: true });
                self.open(reason, grows, step.sums);
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

    /// The ticks of a time that the peer or an operator gave.
    fn capped(&self, time: Duration) -> u64 {
        ticks_in(time).min(self.settings.hold_at_most())
    }

    /// Opens for the time given. `own` is the generation of the permit that reports it; `None` if it comes by hand.
    fn open_for(&mut self, own: Option<u64>, reason: OpenReason, ticks: u64) -> Opened {
        self.make_due_move();
        let ticks = ticks.max(1);
        let given = match &self.phase {
            Phase::Open { reason: old, .. } => match replacing(reason, ticks, *old, self.left()) {
                Some(given) => given,
                None => return Opened::Covered(Some(self.left())),
            },
            _ if own.is_some_and(|own| own != self.generation) => return Opened::Stale,
            Phase::HalfOpen { .. } if reason == OpenReason::Budget => return Opened::Covered(Some(0)),
            Phase::Closed { .. } | Phase::HalfOpen { .. } | Phase::Ramping { .. } => ticks,
            Phase::Latched | Phase::ForcedOpen => return Opened::Covered(None),
            Phase::Disabled => return Opened::Off,
        };
        self.enter(Phase::Open { reason, given: Some(given) }, Some(given), None);
        Opened::Moved
    }

    fn open_for_good(&mut self, own: Option<u64>) -> Effect {
        self.make_due_move();
        let stale = own.is_some_and(|own| own != self.generation);
        match &self.phase {
            Phase::Open { .. } => {}
            _ if stale => return Effect::Stale,
            Phase::Closed { .. } | Phase::HalfOpen { .. } | Phase::Ramping { .. } => {}
            Phase::Latched | Phase::ForcedOpen | Phase::Disabled => return Effect::Unchanged,
        }
        self.enter(Phase::Latched, Some(0), None);
        Effect::Latched
    }

    pub(crate) fn trip(&mut self, reason: OpenReason, time: Duration) -> Tripped {
        // The cap is one of the peer's word, and of the operator's.
        let ticks = if reason.is_of_a_layer() { ticks_in(time).min(HORIZON.into()) } else { self.capped(time) };
        match self.open_for(None, reason, ticks) {
            Opened::Moved => Tripped::Opened(u32::try_from(self.generation % GENERATIONS).unwrap()),
            Opened::Covered(ticks) => Tripped::Covered(ticks.map(at_least)),
            Opened::Off | Opened::Stale => Tripped::Idle,
        }
    }

    /// A hold without a permit.
    pub(crate) fn hold(&mut self, time: Duration) -> Effect {
        match self.open_for(None, OpenReason::Hold, self.capped(time)) {
            Opened::Moved => Effect::Opened(OpenReason::Hold),
            _ => Effect::Unchanged,
        }
    }

    /// Ends a layer's open time early, if it is this generation's. `false` if it is not.
    pub(crate) fn release(&mut self, generation: u64) -> bool {
        match &self.phase {
            Phase::Open { reason, .. }
                if reason.is_of_a_layer() && self.generation % GENERATIONS == generation % GENERATIONS =>
            {
                if *reason == OpenReason::Budget {
                    self.recover(None);
                    true
                } else {
                    self.half_open()
                }
            }
            _ => false,
        }
    }

    /// Ends any open time early. `false` if there is none.
    pub(crate) fn half_open(&mut self) -> bool {
        let Phase::Open { reason, .. } = self.phase else { return false };
        // The lease of no probe, until one is admitted.
        self.enter(Phase::HalfOpen { reason, probes: Probes::default() }, Some(self.settings.lease()), None);
        true
    }

    pub(crate) fn latch(&mut self) -> Effect {
        self.open_for_good(None)
    }

    pub(crate) fn reset(&mut self) {
        let phase = self.closed(false);
        self.enter(phase, None, None);
    }

    /// `false` if it is forced open already.
    pub(crate) fn force_open(&mut self) -> bool {
        let moves = !matches!(self.phase, Phase::ForcedOpen);
        if moves {
            self.attempt = 0;
            self.enter(Phase::ForcedOpen, Some(0), None);
        }
        moves
    }

    /// `false` if it is disabled already.
    pub(crate) fn disable(&mut self) -> bool {
        let moves = !matches!(self.phase, Phase::Disabled);
        if moves {
            self.attempt = 0;
            self.enter(Phase::Disabled, Some(0), None);
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
        self.longest = self.longest.max(settings.longest());
        self.warm = false;
    }

    pub(crate) fn set_seed(&mut self, seed: u32) {
        self.seed = seed;
    }

    pub(crate) fn snapshot(&self) -> Kept {
        let remembers = matches!(self.phase, Phase::Closed { remembers: true }) && self.left() > 0;
        let remaining = match &self.phase {
            Phase::Open { .. } => self.left(),
            Phase::Ramping { .. } => self.left().saturating_sub(self.settings.stable_after()),
            Phase::Closed { .. } if remembers => self.left(),
            _ => 0,
        };
        Kept {
            state: self.state(),
            reason: if let Phase::Open { reason, .. } = &self.phase { Some(*reason) } else { None },
            attempt: if matches!(self.phase, Phase::Closed { .. }) && !remembers { 0 } else { self.attempt },
            remaining,
            doubted: self.is_doubted(),
        }
    }

    /// Continues from a snapshot, of whose time so many ticks have certainly passed.
    pub(crate) fn restore(&mut self, kept: Kept, passed: u64) {
        let rest = kept.remaining.saturating_sub(passed);
        let given = rest.max(1);
        self.attempt = kept.attempt;
        match kept.state {
            State::Open => {
                let reason = kept.reason.expect("an open circuit has a reason");
                self.enter(Phase::Open { reason, given: Some(given) }, Some(given), None);
            }
            State::HalfOpen => {
                // The restart lost the probes: as after a failed one.
                self.attempt = (self.attempt + 1).min(31);
                let given = self.open_time().saturating_sub(passed).max(1);
                self.enter(Phase::Open { reason: OpenReason::Failures, given: Some(given) }, Some(given), None);
            }
            State::Ramping => {
                let phase = Phase::Ramping { calls: 0, doubted: kept.doubted };
                self.enter(phase, Some(given + self.settings.stable_after()), None);
            }
            State::Closed => {
                let phase = self.closed(rest > 0);
                self.enter(phase, (rest > 0).then_some(rest), None);
            }
            State::Latched => self.enter(Phase::Latched, Some(0), None),
            State::ForcedOpen => self.enter(Phase::ForcedOpen, Some(0), None),
            State::Disabled => self.enter(Phase::Disabled, Some(0), None),
            _ => unreachable!("there are no other states"),
        }
    }
}

/// For how long a circuit opens for the reason `new` and `ticks` that is open for the reason `old` with `left` ticks left;
/// `None` if it stays as it is.
fn replacing(new: OpenReason, ticks: u64, old: OpenReason, left: u64) -> Option<u64> {
    use OpenReason::{Budget, Failures, Hold, Manual, Slow};
    let lengthened = if ticks > left { Some(ticks) } else { None };
    match old {
        _ if new == Manual => Some(ticks),
        _ if new == old => lengthened,
        // A circuit whose time is over is one that waits for a probe, and money never heals it.
        _ if left == 0 => {
            if new == Budget {
                None
            } else {
                Some(ticks)
            }
        }
        // A layer leaves alone what is not its own.
        _ if new.is_of_a_layer() => None,
        // What is left are a hold, and a trip by hand for Failures or Slow, over a period of another reason.
        Failures | Slow => Some(ticks.max(left)),
        Hold => lengthened,
        Manual => None,
        _ => Some(ticks),
    }
}
