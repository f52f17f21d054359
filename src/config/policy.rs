//! Settings that are fixed at compile time.

use crate::config::Config;

/// Settings as constants of a type, for a breaker of [`Fixed`](crate::Fixed) settings.
///
/// ```
/// use microbreaker::{Breaker, Config, Fixed, ManualClock, Policy, Streak};
///
/// struct Modem;
///
/// impl Policy for Modem {
///     const CONFIG: Config = Config::modem();
/// }
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static MODEM: Breaker<Fixed<Streak, Modem>, &ManualClock> = Breaker::fixed(&CLOCK);
/// assert!(MODEM.acquire().is_ok());
/// ```
pub trait Policy {
    /// The settings. Settings that cannot work do not compile.
    const CONFIG: Config;

    /// A number that tells this device from others, for the jitter: see [`Breaker::seed`](crate::Breaker::seed). It is read
    /// whenever the circuit opens, so it may come from where the device keeps it.
    #[inline(always)]
    fn seed() -> u32 {
        0
    }
}
