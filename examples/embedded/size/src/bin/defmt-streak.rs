//! A streak whose transitions are logged.
#![no_std]
#![no_main]

use microbreaker::defmt::DefmtLog;
use microbreaker::{Breaker, Config, Streak};
use size::Uptime;

static BREAKER: Breaker<Streak, Uptime, DefmtLog> =
    Breaker::observed(Config::streak(3), Uptime, DefmtLog::new("modem"));

#[size::entry]
fn main() -> ! {
    defmt::info!("up");
    loop {
        match BREAKER.acquire() {
            Ok(permit) => {
                if size::send() {
                    permit.success()
                } else {
                    permit.failure()
                };
                size::sleep(1000);
            }
            Err(rejected) => size::sleep(rejected.retry_in_ticks().unwrap_or(u32::MAX)),
        }
    }
}
