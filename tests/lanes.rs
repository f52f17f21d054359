//! Which lane a thread writes to (feature `std`): no two threads share one while there are lanes.
//!
//! The numbers of threads belong to the whole process. So this is a binary of its own, only one of its tests runs at a
//! time, and a test makes its calls on threads of its own.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use microbreaker::metrics::Counters;
use microbreaker::{Breaker, Config, LaneCount, Lanes, ManualClock, Streak};

/// The lane without `std`, to compare with.
#[path = "../src/platform/lanes/stack.rs"]
mod stack;

/// Keeps the threads of other tests away while it is held.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What each thread of a crew does once.
type Call = Arc<dyn Fn() + Send + Sync>;

/// A thread that makes the calls that it is given, until it is let go.
struct Worker {
    calls: mpsc::Sender<Call>,
    done: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn begin() -> Self {
        let (calls, to_make) = mpsc::channel::<Call>();
        let (made, done) = mpsc::channel();
        let thread = thread::spawn(move || {
            for call in to_make {
                call();
                drop(call);
                let _ = made.send(());
            }
        });
        Self { calls, done, thread }
    }

    /// Returns when the thread is gone, its thread-locals included.
    fn end(self) {
        drop(self.calls);
        self.thread.join().unwrap();
    }
}

/// Threads that are alive together.
#[derive(Default)]
struct Crew(Vec<Worker>);

impl Crew {
    fn of(threads: usize) -> Self {
        let mut crew = Self::default();
        crew.grow_to(threads);
        crew
    }

    fn grow_to(&mut self, threads: usize) {
        while self.0.len() < threads {
            self.0.push(Worker::begin());
        }
    }

    fn shrink_to(&mut self, threads: usize, draw: &mut Draw) {
        while self.0.len() > threads {
            self.0.swap_remove(draw.below(self.0.len())).end();
        }
    }

    /// All threads make this call, at the same time as far as there are cores.
    fn each(&self, call: &Call) {
        self.0.iter().for_each(|worker| worker.calls.send(Arc::clone(call)).unwrap());
        self.0.iter().for_each(|worker| worker.done.recv().unwrap());
    }

    fn end(self) {
        self.0.into_iter().for_each(Worker::end);
    }
}

/// Numbers that look random and are the same in each run (xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

type Counted<const LANES: usize> = Breaker<Streak, ManualClock, Counters<LANES>>;

fn counted<const LANES: usize>() -> Arc<Counted<LANES>>
where
    Lanes<LANES>: LaneCount,
{
    Arc::new(Breaker::observed(Config::streak(5), ManualClock::new(), Counters::new("counted")))
}

/// One call on it that succeeds.
fn success<const LANES: usize>(breaker: &Arc<Counted<LANES>>) -> Call
where
    Lanes<LANES>: LaneCount,
{
    let breaker = Arc::clone(breaker);
    Arc::new(move || _ = breaker.acquire().unwrap().success())
}

/// How many calls have been counted in each lane. Only the `Debug` of the counters shows their lanes.
fn calls_in_lanes<const LANES: usize>(breaker: &Counted<LANES>) -> [u32; LANES]
where
    Lanes<LANES>: LaneCount,
{
    let shown = format!("{:?}", breaker.observer());
    // The first count of a lane is that of the calls permitted.
    let lanes = shown.split("Shard { counts: [").skip(1).map(|lane| lane.split(',').next().unwrap().parse().unwrap());
    let lanes: Vec<u32> = lanes.collect();
    lanes.try_into().unwrap_or_else(|lanes| panic!("{lanes:?} in {shown}"))
}

/// How many pairs of threads share a lane, if so many threads have each.
fn pairs(threads: impl IntoIterator<Item = u32>) -> u32 {
    threads.into_iter().map(|threads| threads * threads.saturating_sub(1) / 2).sum()
}

/// How many pairs of the crew share a lane, and how many would by their stacks.
fn sharing<const LANES: usize>(crew: &Crew) -> (u32, u32)
where
    Lanes<LANES>: LaneCount,
{
    let breaker = counted::<LANES>();
    crew.each(&success(&breaker));
    let by_stack = Arc::new([const { AtomicU32::new(0) }; LANES]);
    let stacks = Arc::clone(&by_stack);
    crew.each(&(Arc::new(move || _ = stacks[stack::lane(LANES)].fetch_add(1, Ordering::Relaxed)) as Call));
    let calls = calls_in_lanes(&breaker);
    assert_eq!(calls.iter().sum::<u32>() as usize, crew.0.len(), "each thread made one call: {calls:?}");
    (pairs(calls), pairs(by_stack.iter().map(|threads| threads.load(Ordering::Relaxed))))
}

/// Asserts that no two of a crew share a lane, for many crews: such as begin together, and such as are left when many
/// threads have come and gone.
fn nobody_shares<const LANES: usize>()
where
    Lanes<LANES>: LaneCount,
{
    const ROUNDS: usize = 2;
    let mut draw = Draw(LANES as u64);
    let (mut crews, mut threads, mut shared, mut by_stack) = (0, 0, 0, 0);
    let mut look = |crew: &Crew| {
        let (pairs, of_stacks) = sharing::<LANES>(crew);
        crews += 1;
        threads += crew.0.len();
        shared += pairs;
        by_stack += of_stacks;
    };
    for _ in 0..ROUNDS {
        for threads in 1..=LANES {
            let crew = Crew::of(threads);
            look(&crew);
            crew.end();
        }
    }
    let mut crew = Crew::default();
    for _ in 0..8 * ROUNDS {
        // More threads than lanes, now and then more than numbers: some must share.
        crew.grow_to(LANES + 1 + draw.below(LANES + 8));
        let _ = sharing::<LANES>(&crew);
        crew.shrink_to(1 + draw.below(LANES), &mut draw);
        look(&crew);
        // Some end and others begin anew.
        crew.shrink_to(draw.below(crew.0.len() + 1), &mut draw);
        crew.grow_to(1 + draw.below(LANES));
        look(&crew);
    }
    crew.end();
    println!(
        "{LANES} lanes: {crews} crews of 1 to {LANES} threads, {threads} threads in all; {shared} pairs share a lane; by \
         their stacks {by_stack} would"
    );
    assert_eq!(shared, 0, "two threads share one of {LANES} lanes, though there is one for each");
}

#[test]
fn no_two_threads_share_a_lane_while_there_are_lanes() {
    let _alone = alone();
    nobody_shares::<2>();
    nobody_shares::<4>();
    nobody_shares::<8>();
    nobody_shares::<16>();
    nobody_shares::<32>();
    if usize::BITS >= 64 {
        nobody_shares::<64>();
    }
}

#[test]
fn a_thread_that_had_to_share_takes_the_lane_that_another_leaves() {
    let _alone = alone();
    let mut crew = Crew::of(0);
    // They get the numbers 0 to 8, one after the other.
    for threads in 1..=9 {
        crew.grow_to(threads);
        let shared = u32::from(threads == 9);
        assert_eq!(sharing::<8>(&crew).0, shared, "{threads} threads on 8 lanes");
    }
    crew.0.remove(3).end();
    assert_eq!(sharing::<8>(&crew).0, 0);
    crew.end();
}

#[test]
fn more_threads_than_there_are_numbers_share_the_lanes_evenly() {
    let _alone = alone();
    let (crew, breaker) = (Crew::of(200), counted::<8>());
    crew.each(&success(&breaker));
    assert_eq!(calls_in_lanes(&breaker), [25; 8]);
    crew.end();
}

/// Makes its call when the thread ends.
struct AtTheEnd(RefCell<Option<Call>>);

impl AtTheEnd {
    fn set(&self, call: &Call) {
        *self.0.borrow_mut() = Some(Arc::clone(call));
    }
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

thread_local! {
    static OLDER: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
    static YOUNGER: AtTheEnd = const { AtTheEnd(RefCell::new(None)) };
}

#[test]
fn a_thread_may_call_while_its_thread_locals_are_destroyed() {
    let _alone = alone();
    let breaker = counted::<2>();
    let call = success(&breaker);
    let calls = || breaker.observer().counts().success;
    let worker = |what: Call| {
        let crew = Crew::of(1);
        crew.each(&what);
        crew
    };
    // The first call makes the thread-local that gives the number back. Younger ones are destroyed before it, and older
    // ones after it.
    let older = |call: Call| -> Call {
        Arc::new(move || {
            OLDER.with(|older| older.set(&call));
            call();
        })
    };
    let both = |call: Call| -> Call {
        let older = older(Arc::clone(&call));
        Arc::new(move || {
            older();
            YOUNGER.with(|younger| younger.set(&call));
        })
    };
    // They get the numbers 0 to 3, one after the other. The last two are no lanes.
    let [first, second, third] = [(); 3].map(|()| worker(both(Arc::clone(&call))));
    let fourth = worker(older(Arc::clone(&call)));
    assert_eq!(calls(), 4);
    // No lower number is free, before or after it gives back its own.
    third.end();
    assert_eq!(calls(), 4 + 2);
    // The number 2 is free, but the thread has given back its own and must not take another.
    fourth.end();
    assert_eq!(calls(), 6 + 1);
    second.end();
    first.end();
    assert_eq!(calls(), 7 + 4);
    // Its first call is its last one.
    let at_the_end = Arc::clone(&call);
    worker(Arc::new(move || OLDER.with(|older| older.set(&at_the_end)))).end();
    assert_eq!(calls(), 11 + 1);
    let crew = Crew::of(8);
    assert_eq!(sharing::<8>(&crew).0, 0, "a number is lost");
    crew.end();
}
