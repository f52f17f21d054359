//! A reset of the whole machine, as a watchdog makes it: RAM keeps its contents, everything else starts anew.

/// Resets the machine: `SYSRESETREQ` in the system control block.
pub fn system() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
