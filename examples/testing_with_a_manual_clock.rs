//! Tests of your own code around a breaker, without sleeping.
//! Run it with `cargo run --example testing_with_a_manual_clock`.
//!
//! Your code is generic over its [`Clock`]: in production it is given the clock of the machine, and in tests a
//! [`ManualClock`], which stands still until it is moved. So an open time of an hour takes a test no time, and its end
//! is exact to the tick.

use core::time::Duration;

use microbreaker::{Breaker, Clock, Config, Error, ManualClock, State, Streak, Ticks};

/// Your code: mail is sent by a relay, and kept for later where the relay is down.
struct Mailer<C: Clock> {
    relay: Breaker<Streak, C>,
    kept: Vec<&'static str>,
}

impl<C: Clock> Mailer<C> {
    fn new(config: Config, clock: C) -> Self {
        Self { relay: Breaker::new(config, clock), kept: Vec::new() }
    }

    /// Sends a mail, or keeps it. Returns whether it was sent.
    fn send(&mut self, mail: &'static str, relay: impl FnOnce() -> Result<(), &'static str>) -> bool {
        match self.relay.call(relay) {
            Ok(()) => true,
            Err(Error::Inner(_) | Error::Rejected(_)) => {
                self.kept.push(mail);
                false
            }
        }
    }
}

// In your crate each of these is a `#[test]`, and `main` is not needed.

// Two failures open the circuit for an hour. Each failed probe doubles that, up to a day. Jitter would lengthen open
// times, so a test that names exact times switches it off.
const CONFIG: Config =
    Config::streak(2).open_for(Duration::from_secs(3600)).open_at_most(Duration::from_secs(24 * 3600)).jitter(false);

fn a_relay_that_is_down_is_not_asked() {
    let mut mailer = Mailer::new(CONFIG, ManualClock::new());
    assert!(!mailer.send("first", || Err("down")));
    assert!(!mailer.send("second", || Err("down")));
    assert!(!mailer.send("third", || panic!("the circuit is open")));
    assert_eq!(mailer.kept, ["first", "second", "third"]);
}

fn the_relay_is_asked_again_after_an_hour_and_not_before() {
    let clock = ManualClock::new();
    let mut mailer = Mailer::new(CONFIG, &clock);
    for _ in 0..2 {
        mailer.send("lost", || Err("down"));
    }
    let rest = mailer.relay.retry_in_ticks().expect("an open circuit knows its time");
    assert_eq!(rest, 3600 * 1024, "a manual clock has 1024 ticks in a second");

    clock.advance_ticks(rest - 1);
    assert!(!mailer.send("early", || panic!("one tick is left")));
    clock.advance_ticks(1);
    assert!(mailer.send("in time", || Ok(())));
    assert_eq!(mailer.relay.state(), State::Closed);
}

fn a_relay_that_stays_down_is_asked_ever_more_seldom() {
    // The clock starts a second before its counter wraps: an overflow in your own code would show here.
    let clock = ManualClock::at(Ticks::new(u32::MAX - 1023));
    let mut mailer = Mailer::new(CONFIG, &clock);
    mailer.send("lost", || Err("down"));
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        mailer.send("lost", || Err("down"));
        assert_eq!(mailer.relay.retry_in(), Some(Duration::from_secs(hours * 3600)));
        clock.advance(Duration::from_secs(hours * 3600));
    }
}

fn main() {
    let begin = std::time::Instant::now();
    a_relay_that_is_down_is_not_asked();
    println!("a relay that is down is not asked");
    the_relay_is_asked_again_after_an_hour_and_not_before();
    println!("the relay is asked again after an hour, and not a tick before");
    a_relay_that_stays_down_is_asked_ever_more_seldom();
    println!("a relay that stays down is asked ever more seldom, up to once a day");
    println!("80 hours by the manual clock took {:?}", begin.elapsed());
}
