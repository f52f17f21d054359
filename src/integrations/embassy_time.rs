//! embassy's time as a breaker's clock, and waiting for a circuit on it.

use core::time::Duration;

use embassy_time::{Instant, TICK_HZ, Timer};

use crate::breaker::Breaker;
use crate::clock::{Clock, HORIZON, TickRate, Ticks};
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::State;

/// embassy-time's clock, shifted down to the rate nearest to 1 kHz: 976.5625 Hz where embassy ticks at 1 MHz, 1024 Hz
/// at 32 768 Hz, 1 kHz at 1 kHz. No division, and so a rate that is rarely a round one; it is declared exactly.
///
/// Which time driver stands behind it is the firmware's choice, as always with embassy-time. A driver that stands still
/// in deep sleep delays recovery by as much.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyClock;

/// How far embassy's ticks are shifted: the result lies between 1 kHz / √2 and 1 kHz · √2, if it can.
const SHIFT: u32 = shift(TICK_HZ);

const fn shift(hertz: u64) -> u32 {
    let mut shift = 0;
    while hertz >> shift > 1414 {
        shift += 1;
    }
    shift
}

/// `hertz` / 2^`shift` in lowest terms.
const fn shifted(hertz: u64, shift: u32) -> TickRate {
    let common = if hertz.trailing_zeros() < shift { hertz.trailing_zeros() } else { shift };
    let ticks = hertz >> common;
    assert!(ticks <= u32::MAX as u64, "embassy-time's tick rate has too many odd hertz");
    #[expect(clippy::cast_possible_truncation, reason = "just checked")]
    TickRate::new(ticks as u32, 1 << (shift - common))
}

impl Clock for EmbassyClock {
    const RATE: TickRate = shifted(TICK_HZ, SHIFT);

    #[inline]
    fn now(&self) -> Ticks {
        // The lower 32 bits: ticks wrap.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        Ticks::new((Instant::now().as_ticks() >> SHIFT) as u32)
    }
}

fn never(reason: RejectReason) -> Rejected {
    Rejected::new(reason, None, const { &EmbassyClock::RATE })
}

/// How long [`Breaker::ready`] sleeps at a time where the wait may become shorter: a second.
const RECHECK_TICKS: u32 = match EmbassyClock::RATE.ticks_in(Duration::from_secs(1)) {
    Some(ticks) => ticks,
    None => HORIZON,
};

impl<W: Window, O: Observer> Breaker<W, EmbassyClock, O> {
    /// Sleeps until it pays to ask: at once while closed or ramping, at the end of an open time. It asks for nothing
    /// itself, so nothing is woken and no probe is taken; [`acquire`](Self::acquire) may still reject, if another was
    /// faster.
    ///
    /// An error if waiting does not help: latched or forced open, now or after a while. In shadow at once, for nothing
    /// is rejected.
    ///
    /// It wakes up once per open time, and again if a hold has lengthened it meanwhile. While probes are out and no slot
    /// is free it looks once a second, for they may report sooner than their lease; so it does while a hold has not said
    /// its length yet. A [reset](Self::reset) cuts no sleep short: who resets by hand may `select` a signal of its own
    /// beside this. While ramping, a rejected caller waits for [`Rejected::retry_in`] itself.
    ///
    /// Cancel safety: it holds nothing. Dropped at any time, it has changed nothing.
    pub async fn ready(&self) -> Result<(), Rejected> {
        loop {
            let remaining = self.present_remaining();
            let ticks = match (remaining.ticks, remaining.word.state()) {
                _ if self.is_shadow() => return Ok(()),
                (Some(0), _) => return Ok(()),
                (Some(ticks), _) if remaining.may_shrink => ticks.min(RECHECK_TICKS),
                (Some(ticks), _) => ticks,
                (None, State::Latched) => return Err(never(RejectReason::Latched)),
                (None, _) => return Err(never(RejectReason::ForcedOpen)),
            };
            Timer::after_ticks(u64::from(ticks) << SHIFT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_of_embassy_is_shifted_to_about_a_kilohertz_and_declared_exactly() {
        let powers = (0..33).map(|n| 1_u64 << n);
        let round = [10, 100, 1_000, 10_000, 64_000, 1_000_000, 12_000_000, 170_000_000, 5_242_880_000];
        for hertz in powers.chain(round) {
            let shift = shift(hertz);
            let rate = shifted(hertz, shift);
            assert!(hertz >> shift <= 1414 && (shift == 0 || hertz >> shift >= 707), "{hertz} Hz by {shift}");
            // As many ticks in a day as embassy's, shifted.
            let day = Duration::from_secs(86_400);
            assert_eq!(rate.ticks_in(day).map(u64::from), Some((hertz * 86_400).div_ceil(1 << shift)), "{hertz} Hz");
        }
    }
}
