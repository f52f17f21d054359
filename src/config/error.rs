//! The error of a configuration that cannot work: the setting, its value, and the bound that it broke.

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
        /// A setting, as a [`ConfigError`] names it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Field {
            $($(#[doc = concat!($about, unit!($unit, ", in ticks", ""))] $field,)?)+
        }

        impl Field {
            /// Every field.
            pub const ALL: [Self; [$($(stringify!($field),)?)+].len()] = [$($(Self::$field,)?)+];

            /// The name of the setting, for instance `open_for`.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$field => $text,)?)+
                }
            }

            /// Whether the value and the bounds of the setting are in ticks.
            const fn is_time(self) -> bool {
                match self {
                    $($(Self::$field => unit!($unit, true, false),)?)+
                }
            }

            /// The least that the table allows. Call it at compile time only: it panics if the row has no such bound,
            /// or if the bound depends on another setting.
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

            /// The sentence for a setting that breaks `bound`. If its row has no such bound, the sentence is its name.
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

/// The bound that a setting broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// The setting must be at least this.
    AtLeast(u32),
    /// The setting may be at most this.
    AtMost(u32),
    /// The setting must be a power of two.
    PowerOfTwo,
    /// The breaker's window type has no use for the setting.
    NotInType,
    /// A share of slow calls needs [`Config::slow_after`].
    NeedsSlowAfter,
    /// A verdict by rates needs a count or a time window.
    NeedsShares,
    /// A live reload must leave the setting as it is.
    Fixed,
}

/// The error of settings that cannot work: the setting that is wrong, its value, and the bound that it broke.
///
/// A duration is in ticks of the clock, and `u32::MAX` if it is past the [horizon](crate::HORIZON). `Display` shows
/// durations as times (`480s`), rounded up to a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting.
    pub field: Field,
    /// The value of the setting.
    pub value: u32,
    /// The bound that the value broke.
    pub bound: Bound,
    /// The rate at which ticks are shown as a time.
    rate: &'static TickRate,
}

impl ConfigError {
    pub(crate) const fn new(field: Field, value: u32, bound: Bound, rate: &'static TickRate) -> Self {
        Self { field, value, bound, rate }
    }

    /// The error as one fixed sentence, for a panic at compile time, which cannot format numbers.
    pub(crate) const fn sentence(&self) -> &'static str {
        self.field.sentence(self.bound)
    }

    /// The rate of the ticks, if the setting is a time.
    pub(crate) const fn rate(&self) -> Option<&'static TickRate> {
        if self.field.is_time() { Some(self.rate) } else { None }
    }
}

/// Shows the sentence, the value and its bound. Ticks are shown as times.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, rate) = (self.value, self.rate());
        let number = |number| Number(number, rate);
        f.write_str(self.sentence())?;
        match self.bound {
            Bound::AtLeast(least) => write!(f, " (it is {}, the least is {})", number(value), number(least)),
            // The value is past the horizon, and how far is not known.
            Bound::AtMost(most) if rate.is_some() && value == u32::MAX => {
                write!(f, " (the most is {})", number(most))
            }
            Bound::AtMost(most) => write!(f, " (it is {}, the most is {})", number(value), number(most)),
            Bound::PowerOfTwo => write!(f, " (it is {}: {value} ticks)", number(value)),
            // These bounds are no numbers, and the sentence says all about them.
            Bound::NotInType | Bound::NeedsSlowAfter | Bound::NeedsShares | Bound::Fixed => Ok(()),
        }
    }
}

/// A number. If it has a rate, it counts ticks and is shown as the time that they last.
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
