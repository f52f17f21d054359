//! A window with settings that are constants.

use core::marker::PhantomData;

use super::sealed::Sealed;
use super::{FastFailure, Placement, Recorded};
use crate::clock::Clock;
use crate::config::capacity::Capacity;
use crate::config::live::{Live, grow};
use crate::config::policy::Policy;
use crate::config::source::{ConfigWords, Group, Source};
use crate::machine::mark::Mark;
use crate::machine::scope::Scope;
use crate::machine::word::Word;
use crate::platform::atomics::initial;
use crate::terms::tally::Tally;

/// The window `W` with the settings of the [`Policy`] `P`, which are constants.
///
/// Settings take no memory, and what is not configured is not linked: a streak with doubling open times takes less than a
/// kilobyte of flash and twelve bytes of RAM. A reload, a seed at run time and the shadow switch need live settings instead.
/// Each policy gets a copy of the code of its own, so from about three different ones on, live settings take less flash.
#[derive(Debug)]
pub struct Fixed<W, P> {
    window: W,
    policy: PhantomData<fn() -> P>,
}

/// The settings of a [`Fixed`]: nothing at run time.
#[doc(hidden)]
#[derive(Debug)]
pub struct Folded<W, P>(PhantomData<fn() -> (W, P)>);

/// The settings of a policy, in ticks of a clock.
struct Constants<W, P, C>(PhantomData<(W, P, C)>);

impl<W: Sealed, P: Policy, C: Clock> Constants<W, P, C> {
    const WORDS: ConfigWords = match P::CONFIG.words(const { &C::RATE }, W::CAPACITY) {
        Ok(words) => words,
        Err(error) => panic!("{}", error.sentence()),
    };
    const BASE: u32 = Self::WORDS.get(Group::Base);
    const CAP: u32 = Self::WORDS.get(Group::Cap);
    const FACTOR_1024THS: u32 = Self::WORDS.rules().factor_1024ths();

    const fn open_time(attempt: u32) -> u32 {
        grow(Self::BASE, Self::CAP, Self::FACTOR_1024THS, attempt)
    }

    /// The attempt at which the open time has grown to its most.
    const LAST: u32 = {
        let mut last = 0;
        while last < 31 && Self::open_time(last) < Self::open_time(last + 1) {
            last += 1;
        }
        last
    };

    const fn table<const N: usize>() -> [u32; N] {
        let mut table = [0; N];
        let mut attempt = 0;
        #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
        while attempt < N {
            table[attempt] = Self::open_time(attempt as u32);
            attempt += 1;
        }
        table
    }

    const TABLE_8: [u32; 8] = Self::table();
    const TABLE_32: [u32; 32] = Self::table();
}

impl<W, P> Folded<W, P> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

impl<W: Sealed, P: Policy> Folded<W, P> {
    pub(crate) const fn words<C: Clock>() -> &'static ConfigWords {
        const { &Constants::<W, P, C>::WORDS }
    }
}

impl<W: Sealed, P: Policy> Source for Folded<W, P> {
    const MANY: bool = P::CONFIG.has_many_probes();
    const RAMPS: bool = P::CONFIG.has_ramp();
    const REMEMBERS: bool = P::CONFIG.remembers();

    #[inline(always)]
    fn group<C: Clock>(&self, group: Group) -> u32 {
        const { Constants::<W, P, C>::WORDS }.get(group)
    }

    #[inline(always)]
    fn seed(&self) -> u32 {
        P::seed()
    }

    fn can_shadow<C: Clock>(&self, on: bool) -> bool {
        self.rules::<C>().shadow() == on
    }

    fn set_shadow(&self, _: bool) {}

    #[inline(always)]
    fn open_time<C: Clock>(&self, attempt: u32) -> u32 {
        let last = const { Constants::<W, P, C>::LAST };
        let attempt = attempt.min(last);
        let base = const { Constants::<W, P, C>::BASE };
        if last == 0 {
            base
        } else if const { Constants::<W, P, C>::FACTOR_1024THS } == 2048 {
            // At most the double of the cap, which is at most the horizon.
            (base << attempt).min(const { Constants::<W, P, C>::CAP })
        } else if last < 8 {
            let table = const { &Constants::<W, P, C>::TABLE_8 };
            table[(attempt & 7) as usize]
        } else {
            let table = const { &Constants::<W, P, C>::TABLE_32 };
            table[(attempt & 31) as usize]
        }
    }
}

impl<W: Sealed<Settings = Live>, P: Policy> Sealed for Fixed<W, P> {
    type Settings = Folded<W, P>;
    const CAPACITY: Capacity = W::CAPACITY;
    const SHARES: bool = W::SHARES;
    const WRITES: bool = W::WRITES;
    const IN_WORD: bool = W::IN_WORD;
    const RUN_IN_COUNTS: bool = W::RUN_IN_COUNTS;
    const FAILS_FAST: bool = W::FAILS_FAST;
    initial!(give Self { window: initial!(take W), policy: PhantomData });

    #[inline(always)]
    fn record<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, mark: Mark, judge_always: bool) -> Recorded {
        self.window.record(scope, mark, judge_always)
    }

    #[inline(always)]
    fn try_fast<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word, may_write: bool) -> bool {
        self.window.try_fast(scope, quiet, may_write)
    }

    #[inline(always)]
    fn try_fast_failure<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, quiet: Word) -> FastFailure {
        self.window.try_fast_failure(scope, quiet)
    }

    #[inline(always)]
    fn verdict<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>, placement: Placement) -> Recorded {
        self.window.verdict(scope, placement)
    }

    #[inline(always)]
    fn tally<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> Tally {
        self.window.tally(scope)
    }

    #[inline(always)]
    fn is_clean<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) -> bool {
        self.window.is_clean(scope)
    }

    #[inline(always)]
    fn renew<S: Source, C: Clock>(&self, scope: Scope<'_, S, C>) {
        self.window.renew(scope);
    }
}
