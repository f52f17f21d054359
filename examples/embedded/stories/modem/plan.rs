//! When things happen, in ms of virtual time since the start. Both programs are built from this file. The application
//! learns from it what to measure, and the simulator learns what to do.

/// How often there is a batch of telemetry.
pub(crate) const BATCH_EVERY: u32 = 5_000;
/// How many batches are kept while they cannot be sent.
pub(crate) const KEPT: usize = 16;

/// How long the modem is silent, both times.
pub(crate) const OUTAGE: u32 = 600_000;

/// The outage with the breaker begins, in the middle of a dialogue: a datagram is announced, but not yet asked for.
pub(crate) const GUARDED: u32 = 65_075;

/// The network drops the context, and refuses a new one.
pub(crate) const CONGESTED: u32 = 1_003_500;
/// For how many seconds the network refuses.
pub(crate) const BACK_OFF: u32 = 90;

/// The SIM card is no longer read.
pub(crate) const SIM_FAILS: u32 = 1_203_500;
/// The SIM card is taken out.
pub(crate) const SIM_OUT: u32 = 1_261_500;
/// Another SIM card is put in.
pub(crate) const SIM_IN: u32 = 1_271_500;

/// The modem switches itself off: undervoltage.
pub(crate) const POWER_DOWN: u32 = 1_333_500;
/// The modem switches itself on again.
pub(crate) const POWER_UP: u32 = 1_353_500;

/// The breaker is disabled from here on.
pub(crate) const DISABLED: u32 = 1_482_500;
/// The outage without the breaker begins, at the same point of a dialogue as the other.
pub(crate) const UNGUARDED: u32 = 1_485_075;

/// The end: all that was kept has been sent.
pub(crate) const END: u32 = UNGUARDED + OUTAGE + 57_425;

/// The SIM card is in its holder.
pub(crate) const PIN_SIM: u8 = 1 << 0;
/// The modem is powered.
pub(crate) const PIN_POWER: u8 = 1 << 1;
