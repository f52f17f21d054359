//! The check of one value against its row of the [table](crate::config::table).

use core::time::Duration;

use crate::clock::TickRate;
#[cfg(doc)]
use crate::config::error::ConfigError;
use crate::config::error::{Bound, Field};

/// A setting, its value and the bound that it broke. The rate of the ticks makes this a [`ConfigError`].
pub(crate) type Broken = (Field, u32, Bound);

/// The value, if it is within the bounds of its row. `least` or `most` replaces a bound of the row that depends on
/// other settings.
macro_rules! within {
    ($field:ident, $value:expr) => {
        within!($field, $value, from const { Field::$field.least() }, to const { Field::$field.most() })
    };
    ($field:ident, $value:expr, least $least:expr) => {
        within!($field, $value, from $least, to const { Field::$field.most() })
    };
    ($field:ident, $value:expr, most $most:expr) => {
        within!($field, $value, from const { Field::$field.least() }, to $most)
    };
    ($field:ident, $value:expr, from $least:expr, to $most:expr) => {
        $crate::config::check::between(Field::$field, $value, $least, $most)
    };
}
pub(crate) use within;

pub(crate) const fn between(field: Field, value: u32, least: u32, most: u32) -> Result<u32, Broken> {
    if value < least {
        Err((field, value, Bound::AtLeast(least)))
    } else if value > most {
        Err((field, value, Bound::AtMost(most)))
    } else {
        Ok(value)
    }
}

/// The ticks that cover `duration`. For a duration past the horizon they are `u32::MAX`, which is above every bound.
pub(crate) const fn ticks(duration: Duration, rate: TickRate) -> u32 {
    match rate.ticks_in(duration) {
        Some(ticks) => ticks,
        None => u32::MAX,
    }
}

/// The error of a setting that must not be left out.
macro_rules! missing {
    ($field:ident) => {
        Err((Field::$field, 0, Bound::AtLeast(const { Field::$field.least() })))
    };
}
pub(crate) use missing;
