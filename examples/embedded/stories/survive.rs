//! An open circuit stays open. It survives resets of the machine in RAM that they leave alone. In flash it survives
//! power cuts at any word that is written.
//!
//! One run has many boots. They remember each other's results in `.uninit`, as a firmware would.
//!
//! Needs `ICOUNT=shift=10,sleep=off`.
#![no_std]
#![no_main]
#![expect(clippy::cast_possible_truncation, reason = "counts and sizes of a small flash")]

#[path = "survive/cuts.rs"]
mod cuts;
#[path = "survive/flash.rs"]
mod flash;
#[path = "survive/keeper.rs"]
mod keeper;
#[path = "survive/ram.rs"]
mod ram;

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use core::time::Duration;

use board::println;
use board::shot::Gun;
use embassy_time::block_for;
use microbreaker::embassy_time::EmbassyClock;
use microbreaker::{
    Breaker, Clock, Config, Event, ManualClock, Observer, OpenReason, RejectReason, Snapshot, SnapshotError, State,
    Streak,
};

use crate::flash::{Cells, Flash, Way};
use crate::keeper::{Keeper, Naive, OneMap, TwoMaps, essence};

board::shot_handler!();

const CONFIG: Config = Config::streak(3).open_for(Duration::from_millis(200)).open_at_most(Duration::from_secs(2));
static MODEM: Breaker<Streak, EmbassyClock> = Breaker::new(CONFIG, EmbassyClock);

/// What the boots of this run know about each other.
struct Progress {
    /// [`MAGIC`] if there was a boot before, and anything else when power has just come up.
    magic: AtomicU32,
    phase: AtomicU32,
    resets: AtomicU32,
    /// How far the phase has come.
    nth: AtomicU32,
    /// A value that the boot before left for this one to check.
    expected: AtomicU32,
    ram_cuts: AtomicU32,
    flash_cuts: AtomicU32,
    wrong: AtomicU32,
}

const MAGIC: u32 = 0x5375_7276;

#[unsafe(link_section = ".uninit.progress")]
static PROGRESS: MaybeUninit<Progress> = MaybeUninit::uninit();
#[unsafe(link_section = ".uninit.flash")]
static CELLS: MaybeUninit<Cells> = MaybeUninit::uninit();

fn progress() -> &'static Progress {
    // SAFETY: the static lives for ever and consists of words, for which every pattern of bits is valid. See
    // `ram::retained`.
    unsafe { &*black_box(PROGRESS.as_ptr()) }
}

fn cells() -> &'static Cells {
    // SAFETY: as above.
    unsafe { &*black_box(CELLS.as_ptr()) }
}

fn add(to: &AtomicU32, more: u32) {
    to.store(to.load(Relaxed) + more, Relaxed);
}

/// Resets the machine, as if by a watchdog or by power that comes back.
fn reset() {
    add(&progress().resets, 1);
    board::reset::system()
}

/// Resets the machine. The next boot runs the next phase.
fn next_phase() {
    progress().nth.store(0, Relaxed);
    add(&progress().phase, 1);
    reset();
}

#[board::entry]
fn main() -> ! {
    let progress = progress();
    if progress.magic.load(Relaxed) != MAGIC {
        for word in [
            &progress.phase,
            &progress.resets,
            &progress.nth,
            &progress.expected,
            &progress.ram_cuts,
            &progress.flash_cuts,
            &progress.wrong,
        ] {
            word.store(0, Relaxed);
        }
        progress.magic.store(MAGIC, Relaxed);
    }
    let phases =
        [power_up, still_open, probe_lost, still_latched, still_held, cut_ram, reset_in_ram, cut_flash, reset_in_flash];
    match phases.get(progress.phase.load(Relaxed) as usize) {
        Some(phase) => phase(),
        None => end(),
    }
    panic!("a phase ends in a reset");
}

/// Nothing was kept. Whatever the memory came up with is refused, and the error says why.
fn power_up() {
    board::start();
    let (head, noise) = (MODEM.snapshot().words()[0], 0xA5A5_A5A5);
    let patterns = [
        (0, 0, SnapshotError::Foreign),
        (u32::MAX, u32::MAX, SnapshotError::Foreign),
        (noise, noise, SnapshotError::Foreign),
        (head, noise, SnapshotError::Corrupt),
        (head - 1, noise, SnapshotError::Version(1)),
    ];
    for (first, rest, error) in patterns {
        ram::fill((0..).map(|at| if at % Snapshot::WORDS == 0 { first } else { rest }));
        assert_eq!(ram::retained().load(), Err(error), "{first:#x}, {rest:#x}");
    }
    assert_eq!(MODEM.state(), State::Closed, "a cold start");
    trip();
    ram::retained().save(&MODEM.snapshot());
    block_for(embassy_time::Duration::from_millis(80));
    // Saved again during the open time, so that the next boot waits only for the remaining time.
    let snapshot = MODEM.snapshot();
    ram::retained().save(&snapshot);
    println!("power up: {} patterns refused, tripped by failures", patterns.len());
    println!("open for {} ticks more: reset", snapshot.remaining_ticks());
    progress().expected.store(snapshot.remaining_ticks(), Relaxed);
    next_phase();
}

/// Opens the circuit by three failures.
fn trip() {
    for _ in 0..3 {
        MODEM.acquire().expect("closed").failure();
    }
    assert_eq!(MODEM.state(), State::Open);
}

/// Restores the state, as the first thing that firmware does.
fn restore() -> Snapshot {
    board::start();
    let snapshot = ram::retained().load().expect("it was kept");
    MODEM.restore(&snapshot, None).expect("a clock of the same rate");
    snapshot
}

/// Rejects for the whole remaining time, and not less.
fn still_open() {
    let start = EmbassyClock.now();
    let snapshot = restore();
    let left = progress().expected.load(Relaxed);
    assert_eq!((snapshot.state(), snapshot.reason()), (State::Open, Some(OpenReason::Failures)));
    assert_eq!(snapshot.remaining_ticks(), left);
    let rejected = MODEM.acquire().expect_err("open").reason();
    assert_eq!(rejected, RejectReason::Open(OpenReason::Failures));
    let probe = loop {
        let at_least = left.saturating_sub(EmbassyClock.now().since(start));
        match MODEM.acquire() {
            Ok(probe) => break probe,
            Err(rejected) => assert!(rejected.retry_in_ticks().is_some_and(|ticks| ticks >= at_least), "too soon"),
        }
    };
    let waited = EmbassyClock.now().since(start);
    // The boot takes time too, and more on a slower processor.
    assert!((left..left + 20).contains(&waited), "open for {waited} ticks of {left}");
    assert!(probe.is_probe() && MODEM.state() == State::HalfOpen);
    probe.success();
    assert_eq!(MODEM.state(), State::Closed);
    println!("open after a reset: rejected for {waited} ticks more, then closed by a probe");

    trip();
    let retry = MODEM.retry_in_ticks().expect("open for a time");
    while MODEM.retry_in_ticks() != Some(0) {}
    let _probe = MODEM.acquire().expect("open no more");
    ram::retained().save(&MODEM.snapshot());
    println!("half-open after {retry} ticks, a probe is out: reset");
    next_phase();
}

/// The probe may have brought the device down, so it is not tried again at once.
fn probe_lost() {
    let snapshot = restore();
    assert_eq!(snapshot.state(), State::HalfOpen);
    assert_eq!(MODEM.state(), State::Open);
    assert_eq!(MODEM.snapshot().attempt(), snapshot.attempt() + 1);
    assert!(MODEM.acquire().is_err());
    println!("half-open after a reset: open, attempt {}", MODEM.snapshot().attempt());
    MODEM.latch();
    ram::retained().save(&MODEM.snapshot());
    next_phase();
}

fn still_latched() {
    let _ = restore();
    let rejected = MODEM.acquire().expect_err("latched");
    assert_eq!((MODEM.state(), rejected.reason(), rejected.retry_in()), (State::Latched, RejectReason::Latched, None));
    println!("latched after a reset: latched");
    MODEM.reset();
    MODEM.hold(Duration::from_secs(5));
    let snapshot = MODEM.snapshot();
    ram::retained().save(&snapshot);
    progress().expected.store(snapshot.remaining_ticks(), Relaxed);
    next_phase();
}

fn still_held() {
    let _ = restore();
    let rejected = MODEM.acquire().expect_err("held");
    assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Hold));
    let left = rejected.retry_in_ticks().expect("it says when");
    assert!(left >= progress().expected.load(Relaxed), "a hold is obeyed");
    println!("held after a reset: held for {left} ticks more");
    next_phase();
}

/// The states of a breaker whose peer stays away: open, half-open, open for longer, half-open … Each differs from all
/// before.
fn states<const N: usize>() -> [Snapshot; N] {
    let breaker = Breaker::<Streak, _>::new(CONFIG, ManualClock::new());
    let states = core::array::from_fn(|nth| {
        match nth {
            0 => (0..3).for_each(|_| _ = breaker.acquire().expect("closed").failure()),
            _ if breaker.state() == State::Open => {
                breaker.clock().advance_ticks(breaker.retry_in_ticks().expect("open for a time"));
                // The probe is ignored, so the circuit stays half-open.
                breaker.acquire().expect("open no more").ignore();
            }
            _ => _ = breaker.acquire().expect("a probe").failure(),
        }
        // Some of the open time has passed.
        breaker.clock().advance_ticks(nth as u32);
        breaker.snapshot()
    });
    for (nth, state) in states.iter().enumerate() {
        assert!(states[..nth].iter().all(|other| essence(other) != essence(state)), "{nth}: {state:?}");
    }
    states
}

fn cut_ram() {
    let mut gun = Gun::new();
    let states = states::<9>();
    let words = ram::every_subset(&states);
    let (instructions, first_change) = ram::every_instruction(&mut gun, [&states[2], &states[3], &states[4]]);
    println!("RAM, any words of a save missing: {} cuts, {} wrong", words.cuts, words.wrong);
    println!("RAM, at every instruction of a save: {} cuts, {} wrong", instructions.cuts, instructions.wrong);
    println!("RAM, one place without a checksum: {} and {} wrong", words.naive_wrong, instructions.naive_wrong);
    assert!(words.naive_wrong > 0 && instructions.naive_wrong > 0, "a check that catches nothing");
    add(&progress().ram_cuts, words.cuts + instructions.cuts);
    add(&progress().wrong, words.wrong + instructions.wrong);
    // The resets begin shortly before the save writes for the first time.
    progress().expected.store(first_change - 4, Relaxed);
    next_phase();
}

/// True resets, at each instruction of a save from its first write on.
fn reset_in_ram() {
    let (mut gun, states, progress) = (Gun::new(), states::<3>(), progress());
    let nth = progress.nth.load(Relaxed);
    if nth > 0 {
        add(&progress.ram_cuts, 1);
        let is_right = [Some(essence(&states[1])), Some(essence(&states[2]))].contains(&ram::load());
        add(&progress.wrong, u32::from(!is_right));
    }
    progress.nth.store(nth + 1, Relaxed);
    ram::reset_within(&mut gun, progress.expected.load(Relaxed) + nth, reset, states.each_ref());
    println!("RAM, resets in a save where it writes: {nth}");
    assert!(nth > Snapshot::WORDS as u32, "fewer than words");
    next_phase();
}

fn cut_flash() {
    let states = states::<24>();
    for way in [Way::Forwards, Way::Backwards, Way::Torn] {
        let two = cuts::everywhere::<TwoMaps>(cells(), &states, way);
        let one = cuts::everywhere::<OneMap>(cells(), &states[..12], way);
        let naive = cuts::everywhere::<Naive>(cells(), &states[..3], way);
        println!("flash {way:?}, two maps: {} cuts, {} wrong, {} stuck", two.cuts, two.wrong, two.stuck);
        println!("  one map: {} cuts, {} wrong, {} stuck", one.cuts, one.wrong, one.stuck);
        println!("  one place without a checksum: {} cuts, {} wrong", naive.cuts, naive.wrong);
        assert!(two.erasures >= 4 && one.erasures >= 2, "each map changes its pages twice");
        assert!(naive.wrong > 0, "a check that catches nothing");
        add(&progress().flash_cuts, two.cuts);
        add(&progress().wrong, two.wrong + two.stuck);
    }
    healthy_calls_write_nothing();
    cells().blank();
    next_phase();
}

/// Tells the main loop that there is something to save. It saves nothing itself, because the breaker may call it from
/// an interrupt too.
struct Changed(AtomicBool);

impl Observer for Changed {
    fn on_event(&self, _: &Event) {
        self.0.store(true, Relaxed);
    }
}

fn healthy_calls_write_nothing() {
    cells().blank();
    let mut flash = Flash::new(cells());
    let breaker = Breaker::<Streak, _, _>::observed(CONFIG, ManualClock::new(), Changed(AtomicBool::new(false)));
    let mut save_if_changed = || {
        if breaker.observer().0.load(Relaxed) {
            // The flag is cleared before the snapshot, so that a change after the snapshot is saved the next time.
            breaker.observer().0.store(false, Relaxed);
            TwoMaps::save(&mut flash, &breaker.snapshot()).expect("it has power");
        }
        flash.words
    };
    for _ in 0..1000 {
        breaker.acquire().expect("closed").success();
        save_if_changed();
    }
    let healthy = save_if_changed();
    for _ in 0..3 {
        breaker.acquire().expect("closed").failure();
        save_if_changed();
    }
    let tripped = save_if_changed();
    println!("flash: {healthy} words written by 1000 healthy calls, {tripped} by a trip");
    assert!(healthy == 0 && tripped > 0);
    assert_eq!(TwoMaps::load(&mut flash), Some(essence(&breaker.snapshot())));
}

/// True resets in the middle of saves, some of them during the erasure of a page.
fn reset_in_flash() {
    const RESETS: usize = 20;
    let (states, progress) = (states::<RESETS>(), progress());
    let nth = progress.nth.load(Relaxed) as usize;
    let mut before = None;
    if nth > 0 {
        let found = TwoMaps::load(&mut Flash::new(cells()));
        // The number of the state that the boot before found, plus one. 0: it found none.
        let held = progress.expected.load(Relaxed) as usize;
        before = held.checked_sub(1).map(|held| essence(&states[held]));
        let (is_old, is_new) = (found == before, found == Some(essence(&states[nth - 1])));
        if is_new {
            progress.expected.store(nth as u32, Relaxed);
        }
        add(&progress.flash_cuts, 1);
        add(&progress.wrong, u32::from(!is_old && !is_new));
        before = found;
    } else {
        progress.expected.store(0, Relaxed);
    }
    if let Some(state) = states.get(nth) {
        // A whole save first, to count its words.
        let (image, mut flash) = (cells().image(), Flash::new(cells()));
        TwoMaps::save(&mut flash, state).expect("after a cut it goes on");
        let (words, erasures) = (flash.words, flash.erasures);
        cells().restore(&image);
        let cut = if erasures > 0 { 24 } else { words * (nth as u32 % 4 + 1) / 5 };
        let way = [Way::Forwards, Way::Backwards, Way::Torn][nth % 3];
        progress.nth.store(nth as u32 + 1, Relaxed);
        let _ = TwoMaps::save(&mut Flash::cut_after(cells(), cut, way, reset), state);
        panic!("it was cut after {cut} of {words} words, from {before:?}");
    }
    println!("flash, resets in a save: {nth}");
    add(&progress.phase, 1);
    end();
}

fn end() {
    let progress = progress();
    let [flash, ram, wrong, resets] =
        [&progress.flash_cuts, &progress.ram_cuts, &progress.wrong, &progress.resets].map(|word| word.load(Relaxed));
    println!("{flash} cuts of flash, {ram} of RAM, {wrong} wrong states, {resets} resets");
    if wrong > 0 {
        board::eprintln!("FAILED: a wrong state survived");
        board::exit(1);
    }
    board::exit(0)
}
