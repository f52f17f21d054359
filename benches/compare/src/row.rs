//! A line of the table: the cases that a breaker can do, and why it cannot do the others.

use std::collections::BTreeMap;
use std::mem::size_of;

use crate::caller::{Caller, OpenFor, Subject};
use crate::cases;
use crate::heap::{self, Heap};
use crate::measure::Case;
use crate::private_work::PrivateWork;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    ClosedOk,
    TenPercent,
    OpenReject,
    Churn,
    /// Two threads on one breaker, back to back.
    Shared,
    /// Two threads, each on its own breaker. `Shared` is compared with this.
    Own,
    /// Two threads on one breaker, with private work between the calls.
    SharedWork,
}

impl Column {
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClosedOk => "closed-ok",
            Self::TenPercent => "10 % failures",
            Self::OpenReject => "open-reject",
            Self::Churn => "half-open churn",
            Self::Shared => "two threads, one breaker",
            Self::Own => "two threads, a breaker each",
            Self::SharedWork => "two threads, one breaker, private work",
        }
    }
}

/// What a breaker judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// There is no window: failures in a row, or an average over a lifetime.
    Streak,
    Count,
    Time,
}

/// The clock of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The platform's clock, read by `Instant::now`.
    Real,
    /// A word in memory: our coarse clock (our manual clock if the open time has to pass), or the caller's own time.
    Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floor,
    /// `lanes` is 1, except in the row that shows more lanes. That row is compared with no rival.
    Ours {
        judge: Judge,
        time: Time,
        lanes: u32,
    },
    Rival {
        judge: Judge,
        time: Time,
    },
}

pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    /// Bytes of the breaker itself, and bytes that it holds on the heap after more than a hundred calls.
    pub bytes: Option<(usize, i64)>,
    /// Allocations and bytes kept, for each call (in [`Column::Churn`]: for each cycle).
    pub heap: BTreeMap<Column, (f64, f64)>,
    /// The columns that cannot be measured, and why.
    pub cannot: BTreeMap<Column, &'static str>,
    pub cases: Vec<(Column, Case<'static>)>,
}

impl Row {
    pub fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, bytes: None, heap: BTreeMap::new(), cannot: BTreeMap::new(), cases: Vec::new() }
    }

    pub fn case(mut self, column: Column, mut case: Case<'static>) -> Self {
        case.name = format!("{}, {}", self.name, column.title());
        self.cases.push((column, case));
        self
    }

    pub fn cannot(mut self, columns: &[Column], why: &'static str) -> Self {
        self.cannot.extend(columns.iter().map(|&column| (column, why)));
        self
    }

    /// Adds the cases of one thread: closed, with and without failures, and open.
    pub fn one_thread<S: Subject>(mut self) -> Self {
        self.bytes = Some(footprint::<S>());
        let mut healthy = S::settle(S::healthy());
        cases::warm_up(&mut healthy);
        self.count(Column::ClosedOk, || assert!(healthy.call(true).is_ok()));
        let mut open = cases::open::<S>();
        self.count(Column::OpenReject, || assert!(open.rejected()));
        self.case(Column::ClosedOk, cases::closed_ok(healthy))
            .case(Column::TenPercent, cases::ten_percent(S::settle(S::healthy())))
            .case(Column::OpenReject, cases::open_reject(open))
    }

    pub fn churn<S: Subject>(mut self) -> Self {
        let mut caller = S::settle(S::nervous(OpenFor::Shortest));
        self.count(Column::Churn, || assert!(cases::cycle(&mut caller, S::CYCLE)));
        self.case(Column::Churn, cases::churn(caller, S::CYCLE))
    }

    pub fn own<S: Subject<Caller: Send>>(self) -> Self {
        self.case(Column::Own, cases::own([(); 2].map(|()| S::settle(S::healthy()))))
    }

    pub fn two_threads<S: Subject<Caller: Clone + Send + Sync>>(self, private: PrivateWork) -> Self {
        self.own::<S>()
            .case(Column::Shared, cases::shared(S::settle(S::healthy())))
            .case(Column::SharedWork, cases::shared_with_work(S::settle(S::healthy()), private))
    }

    fn count(&mut self, column: Column, mut call: impl FnMut()) {
        const CALLS: u32 = 1000;
        call();
        let ((), Heap { allocations, kept }) = heap::count(|| (0..CALLS).for_each(|_| call()));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = |of: i64| of as f64 / f64::from(CALLS);
        self.heap.insert(column, (each(allocations.cast_signed()), each(kept)));
    }
}

fn footprint<S: Subject>() -> (usize, i64) {
    let one = || {
        let (breaker, made) = heap::count(S::healthy);
        let mut caller = S::settle(breaker);
        let ((), used) = heap::count(|| cases::warm_up(&mut caller));
        made.kept + used.kept
    };
    // The first run also counts what the whole process needs once, so its result is dropped.
    one();
    (size_of::<S::Breaker>(), one())
}
