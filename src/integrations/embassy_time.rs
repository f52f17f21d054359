//! `embassy-time`: a breaker's clock, and `ready().await`, which sleeps until a call may be admitted.
//!
//! ```no_run
//! use microbreaker::embassy_time::EmbassyClock;
//! use microbreaker::{Breaker, Config, Streak};
//!
//! static MODEM: Breaker<Streak, EmbassyClock> = Breaker::new(Config::modem(), EmbassyClock);
//!
//! async fn send() {
//!     if MODEM.ready().await.is_ok()
//!         && let Ok(permit) = MODEM.acquire()
//!     {
//!         // Send, and then report how it went:
//!         permit.success();
//!     }
//! }
//! # let _ = send();
//! ```

use core::time::Duration;

use embassy_time::{Instant, TICK_HZ, Timer};

use crate::breaker::Breaker;
use crate::clock::{Clock, HORIZON, TickRate, Ticks};
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::State;

/// The clock of embassy-time, shifted down to the rate nearest to 1 kHz: 976.5625 Hz if embassy ticks at 1 MHz, 1024 Hz
/// if it ticks at 32 768 Hz, 1 kHz if it ticks at 1 kHz. The clock shifts and never divides, so its rate is rarely a
/// round number; the rate is declared exactly.
///
/// The firmware chooses the time driver, as always with embassy-time. If the driver stands still in deep sleep,
/// recovery is late by as much.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyClock;

/// The number of bits by which embassy's ticks are shifted. The resulting rate lies between 1 kHz / √2 and 1 kHz · √2,
/// unless embassy ticks more slowly.
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
        // Only the lower 32 bits are kept: ticks wrap.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        Ticks::new((Instant::now().as_ticks() >> SHIFT) as u32)
    }
}

fn never(reason: RejectReason) -> Rejected {
    Rejected::new(reason, None, const { &EmbassyClock::RATE })
}

/// How long [`Breaker::ready`] sleeps at a time if the wait may become shorter: a second.
const RECHECK_TICKS: u32 = match EmbassyClock::RATE.ticks_in(Duration::from_secs(1)) {
    Some(ticks) => ticks,
    None => HORIZON,
};

impl<W: Window, O: Observer> Breaker<W, EmbassyClock, O> {
    /// Sleeps until it is worth asking for a permit. It returns at once while the circuit is closed or ramping, and at
    /// the end of the open time while it is open. It makes no call and takes no permit, so it wakes no peripheral and
    /// takes no probe. [`acquire`](Self::acquire) may still reject, if another caller was faster.
    ///
    /// It is an error if waiting does not help: if the circuit is latched or forced open, or becomes so during the
    /// wait. In shadow it returns at once, since no call is rejected.
    ///
    /// It wakes up once per open time, and again if a hold has lengthened the open time meanwhile. While probes are in
    /// flight and no slot is free it looks once a second, since a probe may report before its lease is over. It also
    /// does so while a hold has not published its length yet. A [reset](Self::reset) does not end a sleep: firmware
    /// that resets by hand may `select` between this and a signal of its own. While ramping, a rejected caller waits
    /// for [`Rejected::retry_in`] itself.
    ///
    /// Cancel safety: the future holds nothing. It may be dropped at any time and has then changed nothing.
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
            // A day has as many of these ticks as of embassy's, shifted.
            let day = Duration::from_secs(86_400);
            assert_eq!(rate.ticks_in(day).map(u64::from), Some((hertz * 86_400).div_ceil(1 << shift)), "{hertz} Hz");
        }
    }
}
