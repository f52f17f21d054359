//! What the model is compared with: breakers of every window, with live settings and with constant ones, by clocks that
//! round and by one that does not.

use core::marker::PhantomData;

use microbreaker::{
    Breaker, Clock, Config, ConfigError, CountWindow, Fixed, LiveWindow, ManualClock, Observer, Policy, Streak,
    TickRate, Ticks, TimeWindow, Window, count_words,
};

use super::settings::{Settings, Shape, Tuning};

/// A clock that moves when it is told to.
pub(crate) trait Told: Clock {
    fn at(start: u32) -> Self;
    fn advance(&self, ticks: u32);
}

impl Told for ManualClock {
    fn at(start: u32) -> Self {
        Self::at(Ticks::new(start))
    }

    fn advance(&self, ticks: u32) {
        self.advance_ticks(ticks);
    }
}

/// A manual clock with the slack of a real one.
#[derive(Debug)]
pub(crate) struct Rounding<const SLACK: u32>(ManualClock);

impl<const SLACK: u32> Clock for Rounding<SLACK> {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = SLACK;

    fn now(&self) -> Ticks {
        self.0.now()
    }
}

impl<const SLACK: u32> Told for Rounding<SLACK> {
    fn at(start: u32) -> Self {
        Self(ManualClock::at(Ticks::new(start)))
    }

    fn advance(&self, ticks: u32) {
        self.0.advance_ticks(ticks);
    }
}

/// What can be done only to a breaker with live settings.
pub(crate) trait Reload {
    fn reload(&self, config: &Config) -> Result<(), ConfigError>;
    fn reseed(&self, seed: u32);
}

impl<W: LiveWindow, C: Clock, O: Observer> Reload for Breaker<W, C, O> {
    fn reload(&self, config: &Config) -> Result<(), ConfigError> {
        self.reconfigure(config)
    }

    fn reseed(&self, seed: u32) {
        self.seed(seed);
    }
}

/// A kind of breaker.
pub(crate) trait Subject {
    type Window: Window;
    /// The seed of constant settings; `None` if the settings are live.
    const FIXED: Option<u32>;

    fn make<C: Clock, O: Observer>(
        settings: &Settings,
        clock: C,
        log: O,
    ) -> Result<Breaker<Self::Window, C, O>, ConfigError>;

    /// The breaker, if its settings are live.
    fn live<C: Clock, O: Observer>(breaker: &Breaker<Self::Window, C, O>) -> Option<&dyn Reload>;
}

/// A breaker with live settings.
#[derive(Debug)]
pub(crate) struct Live<W>(PhantomData<W>);

impl<W: LiveWindow> Subject for Live<W> {
    type Window = W;
    const FIXED: Option<u32> = None;

    fn make<C: Clock, O: Observer>(settings: &Settings, clock: C, log: O) -> Result<Breaker<W, C, O>, ConfigError> {
        Breaker::try_observed(settings.config(), clock, log)
    }

    fn live<C: Clock, O: Observer>(breaker: &Breaker<W, C, O>) -> Option<&dyn Reload> {
        Some(breaker)
    }
}

/// A breaker with constant settings.
#[derive(Debug)]
pub(crate) struct Constant<P>(PhantomData<P>);

impl<P: Known> Subject for Constant<P> {
    type Window = Fixed<P::Window, Of<P>>;
    const FIXED: Option<u32> = Some(P::SEED);

    fn make<C: Clock, O: Observer>(
        settings: &Settings,
        clock: C,
        log: O,
    ) -> Result<Breaker<Self::Window, C, O>, ConfigError> {
        assert_eq!(*settings, P::SETTINGS);
        Ok(Breaker::fixed_observed(clock, log))
    }

    fn live<C: Clock, O: Observer>(_: &Breaker<Self::Window, C, O>) -> Option<&dyn Reload> {
        None
    }
}

/// Constant settings that the model knows.
pub(crate) trait Known {
    type Window: LiveWindow;
    const SETTINGS: Settings;
    const SEED: u32;
}

/// The policy of known settings.
#[derive(Debug)]
pub(crate) struct Of<P>(PhantomData<P>);

impl<P: Known> Policy for Of<P> {
    const CONFIG: Config = P::SETTINGS.config();

    fn seed() -> u32 {
        P::SEED
    }
}

macro_rules! known {
    ($($(#[$about:meta])* $name:ident: $window:ty, $seed:literal, $shape:expr, { $($field:ident: $value:expr),+ $(,)? })+) => {
        $(
            $(#[$about])*
            #[derive(Debug)]
            pub(crate) struct $name;

            impl Known for $name {
                type Window = $window;
                const SETTINGS: Settings = Settings::of($shape, Tuning { $($field: $value,)+ ..Tuning::PLAIN });
                const SEED: u32 = $seed;
            }
        )+
    };
}

known! {
    /// The smallest breaker: one probe, doubling, jitter. It has no counts at all.
    OneProbe: Streak, 0x2545_F491, Shape::streak(3), { open_for: 60, jitter: true, slow_after: Some(20) }
    /// One probe, and all that may follow it. The open time grows in many small steps.
    OneProbeAndRamp: Streak, 7, Shape::streak(2), {
        open_for: 90,
        factor_1024ths: 1100,
        ramp: Some(320),
        stable_after: Some(500),
        levels: true,
    }
    /// Many probes, two at a time, and all that may follow them.
    ThreeProbes: Streak, 0, Shape::streak(3), {
        probes: 3,
        at_once: Some(2),
        successes: Some(2),
        factor_1024ths: 1536,
        jitter: true,
        ramp: Some(160),
        stable_after: Some(400),
    }
    /// A count window with one probe. Open times are all the same.
    Last20: CountWindow<{ count_words(20, false) }>, 0, Shape::count(20, false), {
        minimum: Some(5),
        factor_1024ths: 1024,
        stable_after: Some(300),
        levels: true,
    }
    /// A verdict by rates, of failures and of slow calls.
    Rates: CountWindow<{ count_words(10, true) }>, 1, Shape::count(10, true), {
        minimum: Some(4),
        slow_after: Some(20),
        rates: true,
        probes: 5,
        at_once: Some(3),
    }
    /// A time window with a verdict of one probe by rates.
    Buckets: TimeWindow<4>, 0, Shape::time(4, 64, false), { minimum: Some(3), rates: true, ramp: Some(64), jitter: true }
    /// A streak that is too long for the word.
    LongStreak: Streak, 3, Shape::streak(257), { open_for: 40, stable_after: Some(100) }
}
