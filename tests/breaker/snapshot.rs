//! Every state outlives a restart, at its exact edges, through words, bytes, retained memory and files. Anything that
//! is no snapshot gives a typed error and changes nothing.

use std::error::Error as _;
use std::time::Duration;
use std::{fs, io, mem};

use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, HORIZON, LiveWindow, ManualClock, OpenReason, Retained, Snapshot,
    SnapshotError, State, Streak, TickRate, Ticks, Tripped, count_words,
};
use proptest::prelude::*;

const CONFIG: Config = Config::streak(2)
    .jitter(false)
    .open_for(Duration::from_secs(60))
    .open_at_most(Duration::from_secs(480))
    .hold_at_most(Duration::from_secs(3600))
    .ramp(Duration::from_secs(16));
const OPEN: u32 = 60 * 1024;

type Modem<C = ManualClock> = Breaker<Streak, C>;

fn breaker() -> Modem {
    Breaker::new(CONFIG, ManualClock::new())
}

fn ticks(ticks: u32) -> Duration {
    ManualClock::RATE.duration_of(ticks)
}

/// A breaker that has opened by failures, and then `attempt` times more by a failing probe at the end of its open time.
fn opened(attempt: u8) -> Modem {
    let breaker = breaker();
    for _ in 0..2 {
        breaker.acquire().unwrap().failure();
    }
    for _ in 0..attempt {
        breaker.clock().advance_ticks(breaker.retry_in_ticks().unwrap());
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
    }
    breaker
}

fn in_state(state: State) -> Modem {
    let breaker = opened(1);
    match state {
        State::Closed => breaker.reset(),
        State::Open => {}
        State::Latched => assert_eq!(breaker.latch(), Effect::Latched),
        State::HalfOpen | State::Ramping => {
            breaker.clock().advance_ticks(2 * OPEN);
            let probe = breaker.acquire().unwrap();
            if state == State::Ramping { assert_eq!(probe.success(), Effect::Ramping) } else { mem::forget(probe) }
        }
        State::ForcedOpen => assert!(breaker.force_open()),
        State::Disabled => assert!(breaker.disable()),
        other => panic!("{other:?}"),
    }
    assert_eq!(breaker.state(), state);
    breaker
}

#[test]
fn every_state_goes_on_in_a_breaker_of_any_state() {
    for before in State::ALL {
        for found in State::ALL {
            let (old, new) = (in_state(before), in_state(found));
            old.clock().advance_ticks(1000);
            let (was, generation) = (old.status(), new.status().generation);
            new.restore(&old.snapshot(), None).unwrap();
            let is = new.status();
            // A move into closed without an attempt leaves a generation out, so that the deadline keeps its parity; any other
            // move begins a time and the next generation.
            let step = if is.state == State::Closed { 2 } else { 1 };
            assert_eq!(is.generation - generation, step, "{before:?} in {found:?}");
            let half_open = before == State::HalfOpen;
            assert_eq!(is.state, if half_open { State::Open } else { before });
            assert_eq!(is.attempt, was.attempt + u8::from(half_open));
            assert_eq!(is.retry_in, if half_open { Some(ticks(4 * OPEN)) } else { was.retry_in }, "{before:?}");
            assert_eq!(is.reason, if half_open { Some(OpenReason::Failures) } else { was.reason });
        }
    }
}

#[test]
fn an_open_circuit_stays_open_for_exactly_what_was_left() {
    // At least a tick, even if all of it has passed.
    for (passed, left) in [(None, OPEN - 1000), (Some(0), OPEN - 1000), (Some(500), OPEN - 1499), (Some(OPEN), 1)] {
        let old = opened(0);
        old.clock().advance_ticks(1000);
        let snapshot = old.snapshot();
        assert_eq!(snapshot.remaining_ticks(), OPEN - 1000);
        let new = breaker();
        new.clock().advance_ticks(77);
        new.restore(&snapshot, passed.map(ticks)).unwrap();
        assert_eq!(new.retry_in_ticks(), Some(left), "{passed:?}");
        new.clock().advance_ticks(left - 1);
        assert_eq!(new.acquire().unwrap_err().retry_in_ticks(), Some(1));
        new.clock().advance_ticks(1);
        assert!(new.acquire().unwrap().is_probe());
    }
}

/// A clock that rounds down, as real clocks do. `phase` shifts the beginnings of its ticks, in sixteenths of a tick.
struct Rounding {
    sixteenths: ManualClock,
    phase: u32,
}

impl Clock for Rounding {
    const RATE: TickRate = TickRate::new(64, 1);

    fn now(&self) -> Ticks {
        Ticks::new((self.sixteenths.now().count() + self.phase) / 16)
    }
}

#[test]
fn nothing_is_over_before_it_would_have_been_however_the_clocks_tick() {
    let config = CONFIG.open_for(Duration::from_secs(1));
    for (old_phase, new_phase) in (0..256).map(|phases| (phases / 16, phases % 16)) {
        for taken in [0, 7, 511, 1000] {
            for passed in [None, Some(0), Some(1), Some(9), Some(100)] {
                let clock = |phase| Rounding { sixteenths: ManualClock::new(), phase };
                let old: Modem<Rounding> = Breaker::new(config, clock(old_phase));
                assert!(matches!(old.trip(OpenReason::Manual, Duration::from_secs(1)), Tripped::Opened(_)));
                old.clock().sixteenths.advance_ticks(taken);
                let new: Modem<Rounding> = Breaker::new(config, clock(new_phase));
                new.restore(&old.snapshot(), passed.map(ticks)).unwrap();
                let rest = 1024_u32.saturating_sub(taken + passed.unwrap_or(0));
                let mut waited = 0;
                while new.acquire().is_err() {
                    waited += 1;
                    new.clock().sixteenths.advance_ticks(1);
                }
                // The wait is too long by at most the slack of both clocks, the parity of both deadlines, and one tick if a
                // passed time is given.
                let latest = rest + 16 * (4 + u32::from(passed.is_some()) + 1);
                assert!(
                    waited >= rest && waited < latest,
                    "{old_phase} {new_phase} {taken} {passed:?}: {waited}, {rest}"
                );
            }
        }
    }
}

#[test]
fn the_attempt_and_the_reason_go_on() {
    let old = opened(2);
    let new = breaker();
    new.restore(&old.snapshot(), None).unwrap();
    assert_eq!((new.status().attempt, new.retry_in_ticks()), (2, Some(4 * OPEN)));
    new.clock().advance_ticks(4 * OPEN);
    new.acquire().unwrap().failure();
    assert_eq!((new.status().attempt, new.retry_in_ticks()), (3, Some(8 * OPEN)));

    for reason in OpenReason::ALL {
        let old = breaker();
        assert!(matches!(old.trip(reason, Duration::from_secs(5)), Tripped::Opened(_)));
        assert_eq!(old.snapshot().reason(), Some(reason));
        new.restore(&old.snapshot(), None).unwrap();
        assert_eq!(new.status().reason, Some(reason));
    }
    assert_eq!(breaker().snapshot().reason(), None);
}

#[test]
fn a_device_that_its_own_probe_brings_down_backs_off() {
    let retained = Retained::new();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let breaker = breaker();
        match retained.load() {
            Ok(snapshot) => breaker.restore(&snapshot, None).unwrap(),
            Err(error) => {
                assert_eq!(error, SnapshotError::Foreign);
                breaker.restore(&opened(0).snapshot(), None).unwrap();
            }
        }
        waits.push(breaker.retry_in_ticks().unwrap());
        breaker.clock().advance_ticks(waits[waits.len() - 1]);
        let probe = breaker.acquire().unwrap();
        retained.save(&breaker.snapshot());
        mem::forget(probe); // The device goes down with its probe.
    }
    assert_eq!(waits, [1, 2, 4, 8, 8, 8].map(|times| times * OPEN));
}

#[test]
fn a_ramp_goes_on_for_what_was_left_of_it() {
    let old = in_state(State::Ramping);
    old.clock().advance_ticks(4 * 1024);
    let new = breaker();
    new.restore(&old.snapshot(), None).unwrap();
    let admitted = (0..16).filter(|_| new.acquire().is_ok()).count();
    assert_eq!((new.state(), admitted), (State::Ramping, 5), "with the share that it had reached");
    new.clock().advance_ticks(12 * 1024 - 1);
    assert_eq!((new.state(), (0..16).filter(|_| new.acquire().is_ok()).count()), (State::Ramping, 16));
    new.clock().advance_ticks(1);
    assert!(new.acquire().is_ok());
    assert_eq!((new.state(), new.status().attempt), (State::Closed, 0));
}

/// The reason of a ramp is not kept. So it recovers from failures, whatever the breaker had counted before the restore.
#[test]
fn a_restored_ramp_is_one_after_failures_whatever_was_counted_before() {
    let snapshot = in_state(State::Ramping).snapshot();
    let rejected = |new: &Modem| (0..16).map(|_| new.acquire()).filter(Result::is_err).count();
    for counted in 0..8 {
        let new: Modem = Breaker::new(Config::streak(10).ramp(Duration::from_secs(16)), ManualClock::new());
        (0..counted).for_each(|_| _ = new.acquire().unwrap().failure());
        new.restore(&snapshot, None).unwrap();
        assert_eq!(rejected(&new), 15);
        assert!([(); 16].map(|()| new.acquire_anyway()).iter().all(Result::is_ok), "after {counted} failures");
    }
    for reason in OpenReason::ALL {
        let new = breaker();
        new.trip(reason, Duration::from_secs(1));
        new.restore(&snapshot, None).unwrap();
        assert_eq!(rejected(&new), 15);
        assert!([(); 16].map(|()| new.acquire_anyway()).iter().all(Result::is_ok), "after {reason:?}");
    }
}

#[test]
fn a_restore_makes_older_permits_stale_and_begins_with_an_empty_window() {
    let new: Breaker<CountWindow<{ count_words(10, false) }>, ManualClock> =
        Breaker::new(Config::count(10).minimum(2).jitter(false), ManualClock::new());
    new.acquire().unwrap().failure();
    let [first, second] = [0; 2].map(|_| new.acquire().unwrap());
    let closed = breaker().snapshot();
    new.restore(&closed, None).unwrap();
    assert_eq!((first.failure(), second.hold(Duration::from_secs(1))), (Effect::Stale, Effect::Stale));
    assert_eq!(new.tally().total, 0);
    // The minimum is counted from zero again, and a success that reaches the minimum judges.
    new.acquire().unwrap().failure();
    assert_eq!(new.acquire().unwrap().success(), Effect::Opened(OpenReason::Failures));
}

fn restores_nothing<W: LiveWindow, C: Clock>(new: &Breaker<W, C>, snapshot: &Snapshot) {
    let before = new.status();
    assert_eq!(new.restore(snapshot, None), Err(SnapshotError::Rate));
    assert_eq!(new.status(), before);
}

#[test]
fn a_snapshot_by_a_clock_of_another_rate_is_refused() {
    let config = CONFIG.open_for(Duration::from_secs(1));
    let rounding = || Rounding { sixteenths: ManualClock::new(), phase: 0 };
    restores_nothing(&Modem::new(config, rounding()), &opened(0).snapshot());
    let other: Modem<Rounding> = Breaker::new(config, rounding());
    other.latch();
    restores_nothing(&opened(1), &other.snapshot());
}

#[test]
fn every_changed_bit_is_noticed() {
    let words = opened(3).snapshot().words();
    let mut kinds = [0; 3];
    for bit in 0..32 * Snapshot::WORDS {
        let mut changed = words;
        changed[bit / 32] ^= 1 << (bit % 32);
        match Snapshot::from_words(&changed) {
            Err(SnapshotError::Foreign) => kinds[0] += 1,
            Err(SnapshotError::Version(_)) => kinds[1] += 1,
            Err(SnapshotError::Corrupt) => kinds[2] += 1,
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    assert_eq!(kinds, [24, 8, 224]);
}

#[test]
fn what_is_no_snapshot_is_told_apart() {
    for words in [[0; 8], [u32::MAX; 8], [0xDEAD_BEEF; 8]] {
        assert_eq!(Snapshot::from_words(&words), Err(SnapshotError::Foreign));
    }
    let mut next = breaker().snapshot().words();
    next[0] += 1;
    assert_eq!(Snapshot::from_words(&next), Err(SnapshotError::Version(3)));
    let bytes = breaker().snapshot().bytes();
    for short in 0..bytes.len() {
        assert_eq!(Snapshot::from_bytes(&bytes[..short]), Err(SnapshotError::Corrupt));
    }
    assert_eq!(Snapshot::from_bytes(&[&bytes[..], &[0]].concat()), Err(SnapshotError::Corrupt));
}

/// The bytes of a circuit that has been open for 4660 ticks of 122,880, as version 1 of the format wrote them.
#[test]
fn a_snapshot_of_version_one_is_an_error_that_says_so() {
    let bytes = [
        [0x01, b'B', b'C', b'M', 0x41, 0, 0, 0],
        [0xCC, 0xCD, 0x01, 0, 0x34, 0x12, 0, 0],
        [0, 0, 0, 0, 0, 0x04, 0, 0],
        [0x01, 0, 0, 0, 0x2A, 0x7B, 0x7B, 0xA1],
    ];
    assert_eq!(Snapshot::from_bytes(bytes.as_flattened()), Err(SnapshotError::Version(1)));

    let retained = Retained::new();
    assert_eq!(retained.load(), Err(SnapshotError::Foreign), "nothing there yet");
    retained.save(&opened(1).snapshot());
    assert_eq!(retained.load().map(|snapshot| snapshot.attempt()), Ok(1));
}

/// Version 2 of the format must never change: it writes exactly these bytes.
#[test]
fn the_bytes_of_version_two() {
    let old = opened(1);
    old.clock().advance_ticks(0x1234);
    let bytes = old.snapshot().bytes();
    let words = old.snapshot().words().map(u32::swap_bytes);
    assert_eq!(
        format!("{words:08x?}"),
        "[0242434d, 41000000, cccd0100, 00000000, 00000000, 00040000, 01000000, b75b686a]"
    );
    assert_eq!(bytes.as_chunks().0, words.map(u32::to_be_bytes));
    assert_eq!(Snapshot::from_bytes(&bytes), Ok(old.snapshot()));
}

#[test]
fn the_names_of_errors_say_what_to_do() {
    for (error, text) in [
        (SnapshotError::Foreign, "not a snapshot of a circuit breaker"),
        (SnapshotError::Version(9), "a snapshot of version 9, this is 2"),
        (SnapshotError::Corrupt, "a snapshot that was cut off or changed"),
        (SnapshotError::Rate, "a snapshot by a clock of another rate"),
    ] {
        assert_eq!((error.to_string().as_str(), error.source().is_none()), (text, true));
    }
}

#[test]
fn retained_memory_gives_the_latest_and_never_none_once_it_had_one() {
    let retained = Retained::default();
    assert_eq!(retained.load(), Err(SnapshotError::Foreign));
    for attempt in 0..10 {
        let snapshot = opened(attempt).snapshot();
        retained.save(&snapshot);
        assert_eq!(retained.load(), Ok(snapshot));
    }
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let folder = std::env::temp_dir().join(format!("microbreaker-snapshot-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("modem");
    assert_eq!(Snapshot::read_from(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    for attempt in 0..3 {
        let snapshot = opened(attempt).snapshot();
        snapshot.write_to(&path).unwrap();
        assert_eq!(Snapshot::read_from(&path).unwrap(), snapshot);
        // A crash while the next snapshot is written leaves a partial file, which does no harm.
        fs::write(folder.join("modem.new"), [0; 5]).unwrap();
        assert_eq!(Snapshot::read_from(&path).unwrap(), snapshot);
    }
    fs::write(&path, [0; 31]).unwrap();
    let error = Snapshot::read_from(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<SnapshotError>());
    assert_eq!(cause, Some(&SnapshotError::Corrupt));
    assert!(opened(0).snapshot().write_to(folder.join("missing").join("modem")).is_err());
    fs::remove_dir_all(&folder).unwrap();
}

/// Sets the checksum: the published CRC-32, which Python's `zlib` computes too.
fn sealed(mut words: [u32; 8]) -> [u32; 8] {
    let bytes = words[..7].iter().flat_map(|word| word.to_le_bytes());
    words[7] = !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xEDB8_8320 } else { 0 })
    });
    words
}

#[test]
fn what_no_breaker_is_in_is_no_snapshot_whatever_its_checksum() {
    let closed = breaker().snapshot().words();
    let open = opened(2).snapshot().words();
    let half_open = in_state(State::HalfOpen).snapshot().words();
    let with = |mut words: [u32; 8], at: usize, word: u32| {
        words[at] = word;
        Snapshot::from_words(&sealed(words))
    };
    assert_eq!(with(open, 2, 1 << 31).map(|snapshot| snapshot.remaining_ticks()), Ok(1 << 31));
    for (words, at, word) in [
        (open, 2, (1 << 31) + 1),              // longer than any open time
        (open, 2, u32::MAX),                   //
        (closed, 1, 1 << 6),                   // an attempt, but no time for which it is remembered
        (closed, 1, 1 << 3),                   // a reason, but closed has none
        (half_open, 1, half_open[1] | 1 << 3), // and so has half-open
        (half_open, 2, 1),                     // a time, but half-open has none
        (open, 3, 1),                          // a word that is not used
        (open, 1, open[1] | 1 << 11),          // an attempt of 32 or more
        (open, 1, closed[1] | 7),              // a number that is no state
    ] {
        assert_eq!(with(words, at, word), Err(SnapshotError::Corrupt), "{at}: {word:#x}");
    }
}

#[test]
fn an_open_time_beyond_the_horizon_is_over_once_it_has_passed() {
    let horizon = Duration::from_secs(1 << 20);
    let mut words = opened(0).snapshot().words();
    words[2] = (1 << 30) + (1 << 28);
    let snapshot = Snapshot::from_words(&sealed(words)).unwrap();
    for (passed, left) in [
        (horizon, (1 << 28) + 1),
        (horizon + ticks(1 << 20), (1 << 28) - (1 << 20) + 2),
        (horizon + ticks(1 << 28), 2),
        (horizon + ticks(1 << 29), 1),
        (2 * horizon + ticks(1024), 1),
        (Duration::MAX, 1),
    ] {
        let new = breaker();
        new.restore(&snapshot, Some(passed)).unwrap();
        assert_eq!(new.retry_in_ticks(), Some(left), "{passed:?}");
    }
}

/// A clock that stands still, and whose slack is as long as can be.
struct Lagging;

impl Clock for Lagging {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 1023;

    fn now(&self) -> Ticks {
        Ticks::new(7)
    }
}

#[test]
fn a_time_as_long_as_can_be_is_opened_for_once() {
    let mut words = opened(0).snapshot().words();
    words[2] = 1 << 31;
    let snapshot = Snapshot::from_words(&sealed(words)).unwrap();
    let new: Modem<Lagging> = Breaker::new(CONFIG, Lagging);
    new.restore(&snapshot, None).unwrap();
    assert!(new.retry_in_ticks().unwrap() > HORIZON + HORIZON / 4, "longer than any breaker's");
    assert_eq!(new.status().generation, 1, "one move");
    assert_eq!(new.hold(Duration::from_secs(1)), Effect::Opened(OpenReason::Hold));
    assert!(new.retry_in_ticks().unwrap() > HORIZON + HORIZON / 4, "the longer time is kept");
    assert_eq!(new.status().generation, 2, "one move");
    assert_eq!(new.hold(Duration::from_secs(1)), Effect::Unchanged);
    new.reset();
    assert_eq!(new.hold(Duration::from_secs(1)), Effect::Opened(OpenReason::Hold));
    assert_eq!(new.status().generation, 5, "two for the reset, one for the hold");
}

proptest! {
    /// Any words with the right checksum are either refused, or restored into a breaker that goes on working.
    #[test]
    fn made_up_words_do_no_harm(control in 0..1_u32 << 12, rest: u32, sequence: u32, short: bool) {
        let rest = if short { rest >> 20 } else { rest };
        let words = sealed([breaker().snapshot().words()[0], control, rest, 0, sequence, 1024, 1, 0]);
        let Ok(snapshot) = Snapshot::from_words(&words) else { return Ok(()) };
        prop_assert_eq!(snapshot.words(), words);
        let new = breaker();
        new.restore(&snapshot, None).unwrap();
        let expected = if snapshot.state() == State::HalfOpen { State::Open } else { snapshot.state() };
        prop_assert_eq!(new.state(), expected);
        if expected == State::Open {
            new.clock().advance_ticks(new.retry_in_ticks().unwrap());
            let of_budget = new.status().reason == Some(OpenReason::Budget);
            prop_assert_eq!(new.acquire().unwrap().is_probe(), !of_budget);
            prop_assert_eq!(new.state(), if of_budget { State::Ramping } else { State::HalfOpen });
        }
    }

    #[test]
    fn whatever_is_taken_for_a_snapshot_is_one(state in 0..State::ALL.len(), attempt in 0..4_u8, gone in 0..OPEN) {
        let old = if state == 1 { opened(attempt) } else { in_state(State::ALL[state]) };
        old.clock().advance_ticks(gone);
        let snapshot = old.snapshot();
        prop_assert_eq!(Snapshot::from_words(&snapshot.words()), Ok(snapshot));
        prop_assert_eq!(Snapshot::from_bytes(&snapshot.bytes()), Ok(snapshot));
    }

    /// Two snapshots, mixed word by word in any way, are one of the two or no snapshot.
    #[test]
    fn a_mixture_of_two_is_one_of_them_or_none(one in 0..4_u8, other in 0..4_u8, gone in 0..OPEN, mask in 0..256_u32) {
        let [one, other] = [one, other].map(opened);
        other.clock().advance_ticks(gone);
        let (first, second) = (one.snapshot().words(), other.snapshot().words());
        let mixed = std::array::from_fn(|at| if mask >> at & 1 == 0 { first[at] } else { second[at] });
        if let Ok(snapshot) = Snapshot::from_words(&mixed) {
            prop_assert!(snapshot == one.snapshot() || snapshot == other.snapshot());
        }
    }

    #[test]
    fn no_words_panic(words: [u32; 8], restored: bool) {
        let mut words = words;
        if restored {
            words[0] = breaker().snapshot().words()[0];
        }
        prop_assert!(Snapshot::from_words(&words).is_err());
    }
}
