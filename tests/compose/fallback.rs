//! A chain of tiers: which tiers are asked, which one serves, and what is known of the tiers above it.

use std::cell::Cell;

use crate::common::now;
use microbreaker::fallback::{Fallback, Tier};
use microbreaker::{Breaker, Config, Error, ManualClock, RejectReason, State, Streak};

fn breaker() -> Breaker<Streak, ManualClock> {
    Breaker::new(Config::streak(1), ManualClock::new())
}

#[test]
fn nobody_below_the_one_that_serves_is_asked() {
    let (one, two) = (breaker(), breaker());
    let served = Fallback::first(one.call(|| Ok::<_, &str>(1)))
        .or(|_| panic!("asked"))
        .cached(|_| panic!("asked"))
        .degraded(|_| panic!("asked"));
    assert_eq!((served.value, served.tier, served.error), (1, Tier::Primary, None));

    let served = Fallback::first(one.call(|| Err("one")))
        .or(|above| {
            assert_eq!(*above, Error::Inner("one"));
            two.call(|| Ok(2))
        })
        .or(|_| panic!("asked"))
        .served()
        .unwrap();
    assert_eq!((served.value, served.tier, served.error), (2, Tier::Secondary(1), Some(Error::Inner("one"))));
}

#[test]
fn each_level_has_a_breaker_of_its_own_and_an_open_one_is_not_asked_again() {
    let (one, two, three) = (breaker(), breaker(), breaker());
    let calls = Cell::new([0; 3]);
    let fail = |tier: usize, error: &'static str| {
        let calls = &calls;
        move || {
            let mut count = calls.get();
            count[tier] += 1;
            calls.set(count);
            Err::<u32, _>(error)
        }
    };
    let chain = || {
        Fallback::first(one.call(fail(0, "one")))
            .or(|_| two.call(fail(1, "two")))
            .or(|_| three.call(fail(2, "three")))
            .served()
    };
    assert_eq!(chain(), Err(Error::Inner("three")), "the error of the last tier");
    assert_eq!([&one, &two, &three].map(Breaker::state), [State::Open; 3]);
    let reason = chain().unwrap_err().rejected().map(microbreaker::Rejected::reason);
    assert!(matches!(reason, Some(RejectReason::Open(_))));
    assert_eq!(calls.get(), [1; 3], "a rejection, not a call");

    three.reset();
    let served = Fallback::first(one.call(fail(0, "one")))
        .or(|_| two.call(fail(1, "two")))
        .or(|_| three.call(|| Ok(3)))
        .served();
    let served = served.unwrap();
    assert_eq!((served.value, served.tier), (3, Tier::Secondary(2)));
    assert!(served.error.unwrap().rejected().is_some(), "the last error above: the second's rejection");
    assert_eq!([&one, &two, &three].map(Breaker::state), [State::Open, State::Open, State::Closed]);
}

#[test]
fn a_cached_value_and_an_explicit_answer_come_last() {
    let chain = |cached: Option<u32>| Fallback::first(Err::<u32, _>("down")).or(|_| Err("down too")).cached(|_| cached);
    let served = chain(Some(7)).degraded(|_| panic!("asked"));
    assert_eq!((served.value, served.tier, served.error), (7, Tier::Cached, Some("down too")));
    let served = chain(None).degraded(|above| {
        assert_eq!(*above, "down too");
        0
    });
    assert_eq!((served.value, served.tier, served.error), (0, Tier::Degraded, Some("down too")));
    assert_eq!(chain(None).served(), Err("down too"));
}

#[test]
fn asynchronous_levels_are_made_only_when_asked_and_count_the_same() {
    let (one, two) = (breaker(), breaker());
    let served = now(async {
        Fallback::first(one.call_async(|| async { Ok::<_, &str>(1) }).await)
            .or_async(|_| -> core::future::Ready<_> { panic!("made") })
            .await
            .cached_async(|_| -> core::future::Ready<_> { panic!("made") })
            .await
            .served()
    });
    assert_eq!(served.unwrap().tier, Tier::Primary);
    let served = now(async {
        Fallback::first(one.call_async(|| async { Err("one") }).await)
            .or_async(|_| async { Err(Error::Inner("between")) })
            .await
            .or_async(|above| {
                assert_eq!(*above, Error::Inner("between"));
                two.call_async(|| async { Ok(2) })
            })
            .await
            .served()
    });
    let served = served.unwrap();
    assert_eq!((served.value, served.tier, served.error), (2, Tier::Secondary(2), Some(Error::Inner("between"))));
    let served =
        now(async { Fallback::first(Err::<u32, _>("down")).cached_async(|_| async { Some(9) }).await.served() });
    assert_eq!(served.unwrap().tier, Tier::Cached);
}
