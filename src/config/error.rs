//! What makes a configuration impossible: the setting, its value, and the bound that it broke.

use core::fmt;

use crate::clock::{HORIZON, TickRate};
#[cfg(doc)]
use crate::config::Config;
use crate::config::table::settings;

/// Makes [`Field`] out of the [table of settings](crate::config::table).
macro_rules! fields {
    ($(
        [$name:ident $text:literal $about:literal]
        $(file $file:tt)?
        $(field $field:ident $unit:ident { $($bound:ident $says:tt)+ })?
    )+) => {
        /// Which setting is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Field {
            $($(#[doc = concat!($about, unit!($unit, ", in ticks", ""))] $field,)?)+
        }

        impl Field {
            /// Every field.
            pub const ALL: [Self; [$($(stringify!($field),)?)+].len()] = [$($(Self::$field,)?)+];

            /// What it is called in settings: `open_for`.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$field => $text,)?)+
                }
            }

            /// Whether its value and its bounds are in ticks.
            const fn is_time(self) -> bool {
                match self {
                    $($(Self::$field => unit!($unit, true, false),)?)+
                }
            }

            /// The least that the table allows. Call it at compile time only: it panics if the row has no such bound, or if the
            /// bound depends on another setting.
            pub(crate) const fn least(self) -> u32 {
                match self {
                    $($(Self::$field => fixed!(AtLeast in $($bound $says)+),)?)+
                }
            }

            /// The most that the table allows. Call it at compile time only, as [`least`](Self::least).
            pub(crate) const fn most(self) -> u32 {
                match self {
                    $($(Self::$field => fixed!(AtMost in $($bound $says)+),)?)+
                }
            }

            /// What is wrong if it breaks `bound`. Its name alone stands for a bound that its row does not have.
            const fn sentence(self, bound: Bound) -> &'static str {
                match self {
                    $($(Self::$field => match bound {
                        $(Bound::$bound { .. } => sentence!($text $bound $says),)+
                        _ => $text,
                    },)?)+
                }
            }
        }
    };
}

macro_rules! unit {
    (ticks, $ticks:expr, $number:expr) => {
        $ticks
    };
    (number, $ticks:expr, $number:expr) => {
        $number
    };
}

/// The value of the bound of one kind, out of all bounds of a row.
macro_rules! fixed {
    (AtLeast in AtLeast($least:tt $($says:tt)*) $($rest:tt)*) => { fixed!($least) };
    (AtMost in AtMost($most:tt $($says:tt)*) $($rest:tt)*) => { fixed!($most) };
    ($kind:ident in $other:ident $says:tt $($rest:tt)*) => { fixed!($kind in $($rest)*) };
    ($kind:ident in) => { panic!("it has no such bound") };
    (HORIZON) => { HORIZON };
    ($setting:ident) => { panic!("its bound depends on another setting, and must be given") };
    ($value:expr) => { $value };
}

/// The sentence for a broken bound, by the rules that the comment on the table lists.
macro_rules! sentence {
    ($name:literal AtMost(HORIZON)) => {
        concat!($name, " is past the horizon")
    };
    ($name:literal AtLeast($least:tt $($what:literal)?)) => {
        concat!($name, " must be at least ", shown!($least) $(, " ", $what)?)
    };
    ($name:literal AtMost($most:tt $($what:literal)?)) => {
        concat!($name, " may be at most ", shown!($most) $(, " ", $what)?)
    };
    ($name:literal $kind:ident($bound:tt = $whole:literal)) => {
        $whole
    };
    ($name:literal $kind:ident($whole:literal)) => {
        $whole
    };
}

macro_rules! shown {
    ($setting:ident) => {
        stringify!($setting)
    };
    ($number:literal) => {
        $number
    };
}

settings!(fields);

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which bound a setting broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// It must be at least this.
    AtLeast(u32),
    /// It may be at most this.
    AtMost(u32),
    /// It must be a power of two.
    PowerOfTwo,
    /// The breaker's window type does not count this.
    NotInType,
    /// A share of slow calls needs [`Config::slow_after`].
    NeedsSlowAfter,
    /// A verdict by rates needs a count or a time window.
    NeedsShares,
    /// A live reload must leave it as it is.
    Fixed,
}

/// Settings that cannot work: which one, its value (durations in ticks of the clock, `u32::MAX` past the
/// [horizon](crate::HORIZON)), and the bound it broke. Shown, durations are times (`480s`), rounded up to a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting.
    pub field: Field,
    /// What it was.
    pub value: u32,
    /// What it must be.
    pub bound: Bound,
    /// To show ticks as a time.
    rate: &'static TickRate,
}

impl ConfigError {
    pub(crate) const fn new(field: Field, value: u32, bound: Bound, rate: &'static TickRate) -> Self {
        Self { field, value, bound, rate }
    }

    /// One sentence for a compile-time panic, which cannot format numbers.
    pub(crate) const fn sentence(&self) -> &'static str {
        self.field.sentence(self.bound)
    }

    /// The rate of its ticks, if it is a time.
    pub(crate) const fn rate(&self) -> Option<&'static TickRate> {
        if self.field.is_time() { Some(self.rate) } else { None }
    }
}

/// The sentence, the value and its bound; times as times.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, rate) = (self.value, self.rate());
        let number = |number| Number(number, rate);
        f.write_str(self.sentence())?;
        match self.bound {
            Bound::AtLeast(least) => write!(f, " (it is {}, the least is {})", number(value), number(least)),
            // Past the horizon: how much is not known.
            Bound::AtMost(most) if rate.is_some() && value == u32::MAX => {
                write!(f, " (the most is {})", number(most))
            }
            Bound::AtMost(most) => write!(f, " (it is {}, the most is {})", number(value), number(most)),
            Bound::PowerOfTwo => write!(f, " (it is {}: {value} ticks)", number(value)),
            // What it should be is no number, or is all that is wrong.
            Bound::NotInType | Bound::NeedsSlowAfter | Bound::NeedsShares | Bound::Fixed => Ok(()),
        }
    }
}

/// Ticks, if they have a rate: shown as the time that they last.
struct Number(u32, Option<&'static TickRate>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(rate) => write!(f, "{:?}", rate.duration_of(self.0)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl core::error::Error for ConfigError {}
