//! The table of settings: the name of each, its type in the settings file, its unit, its bounds, and the text of each
//! error.
//!
//! All of these derive from the table:
//!
//! - `Field`: its variants, their documentation, `ALL`, `name`, and whether a setting is a time;
//! - the bounds that `Config` and `RegistryBuilder` check;
//! - the sentences of `ConfigError`;
//! - the names that `defmt` logs;
//! - the fields of `Settings`: their order, their types, their documentation, and the method of `Config` that each one
//!   calls.
//!
//! To add a setting:
//!
//! 1. Add one row to the table below, at the place that the setting is to have in the settings file. The comment on the
//!    table explains its grammar.
//! 2. In `config/mod.rs`, add one field to `Config`, its default to `Config::DEFAULT`, and one builder method, which
//!    has the name of the row. Let the method's documentation tell the bounds and the default. If the setting can be
//!    switched off again, add a second method for that, and name it in the row.
//! 3. In `Config::check`, check the value by `within!(Variant, value)`, or by `within!(Variant, ticks(value, rate))` if
//!    it is a time, and put it into a word. In `config/source.rs`, draw the word's bits and add the method that reads
//!    them.
//! 4. In `tests/breaker/config.rs`, add a `Row` for each bound. In `tests/integrations/settings.rs`, add a value to
//!    `ALL` and the method to `every_setting_reaches_the_configuration`. Until then both files fail. (A setting without
//!    bounds is also listed in `the_file_has_the_names_of_the_fields`.)
//!
//! If no setting of the file has that type yet, add an `impl Value` for it in `integrations/serde/settings.rs`, which
//! says how it is read and written.

/// Calls the macro `$then` with the table.
///
/// A row begins with the setting's name, the same name as a text (`defmt` interns literals only), and what it is, in
/// words. Two parts follow, each of which may be left out:
///
/// - `file { TYPE, HOW TEXT }` makes it a setting of the file. TYPE is its type there, and TEXT is added to its
///   documentation. HOW says how it reaches a `Config`: `set METHOD` calls that method; `set METHOD or METHOD` is for
///   an `Option`, and calls the second method for `"off"`; `by_hand` leaves it to `Settings::over`.
/// - `field VARIANT UNIT { BOUNDS }` makes it a `Field`. UNIT is `ticks` or `number`. BOUNDS are the variants of
///   `Bound` that it can break, each with the bound's value and what the error then says:
///
/// | in the table | value | sentence |
/// | --- | --- | --- |
/// | `AtLeast(1)` | 1 | NAME must be at least 1 |
/// | `AtLeast(1 "call")` | 1 | NAME must be at least 1 call |
/// | `AtMost(probes)` | passed to `within!`, since it depends on other settings | NAME may be at most probes |
/// | `AtMost(HORIZON)` | the horizon | NAME is past the horizon |
/// | `AtMost(64 = "...")` | 64 | the text |
/// | `NotInType("...")` | none | the text |
macro_rules! settings {
    ($then:ident) => {
        $then! {
            [streak "streak" "[`Config::streak`]"]
            file { u16, set and_streak "; fixed for the life of a breaker" }
            field Streak number {
                AtLeast(1 "failure")
                AtMost(1023 "failures")
                NotInType("streak is set, but the window type is no Streak")
            }

            [count "count" "[`Config::count`]"]
            file { u16, set and_count "; fixed for the life of a breaker" }
            field Count number {
                AtLeast(1 "call")
                AtMost(words = "count is more calls than the CountWindow's words hold (see count_words; half as many where slow calls count)")
                NotInType("count is set, but the window type is no CountWindow")
            }

            [buckets "buckets" "The number of buckets of [`Config::time`]"]
            file { u8, by_hand " (the base's if left out); fixed for the life of a breaker" }
            field Buckets number {
                AtLeast(1 = "time must have at least 1 bucket")
                AtMost(64 = "time has more buckets than the TimeWindow has slots, or more than 64")
                NotInType("time is set, but the window type is no TimeWindow")
            }

            [bucket "bucket" "The length of a bucket of [`Config::time`]"]
            file { Duration, by_hand " (if left out the base's, or one second); fixed for the life of a breaker" }
            field Bucket ticks {
                AtLeast(64 = "a bucket must be at least 64 clock ticks")
                AtMost((HORIZON / 64) = "a bucket is too long")
                PowerOfTwo("a bucket must be a power of two of clock ticks")
            }

            [failure_permille "failure_permille" "[`Config::failure_permille`]"]
            file { Option<u16>, set failure_permille or ignore_failure_share }
            field FailurePermille number {
                AtLeast(1 = "failure_permille must be at least 1, or a slow share set")
                AtMost(1000)
            }

            [slow_permille "slow_permille" "[`Config::slow_permille`]"]
            file { u16, set slow_permille }
            field SlowPermille number {
                AtLeast(1)
                AtMost(1000)
                NeedsSlowAfter("slow_permille needs slow_after")
            }

            [slow_after "slow_after" "[`Config::slow_after`]"]
            file { Option<Duration>, set slow_after or no_slow_limit ": the base's `slow_permille` goes too" }
            field SlowAfter ticks { AtLeast(1 "tick") AtMost(HORIZON) }

            [minimum "minimum" "[`Config::minimum`]"]
            file { u16, set minimum }
            field Minimum number {
                AtLeast(1 "call")
                AtMost(4095 = "minimum may be at most the count window's length, or 4095")
            }

            [open_for "open_for" "[`Config::open_for`]"]
            file { Duration, set open_for }
            field OpenFor ticks { AtLeast(1 "tick") AtMost(HORIZON) }

            [backoff_1024ths "backoff_1024ths" "[`Config::backoff_1024ths`]"]
            file { u32, set backoff_1024ths }
            field Backoff number { AtLeast(1024 "(a factor of 1)") AtMost(65_535) }

            [open_at_most "open_at_most" "[`Config::open_at_most`]"]
            file { Duration, set open_at_most }
            field OpenAtMost ticks { AtLeast(open_for) AtMost(HORIZON) }

            [jitter "jitter" "[`Config::jitter`]"]
            file { bool, set jitter }

            [hold_at_most "hold_at_most" "[`Config::hold_at_most`]"]
            file { Duration, set hold_at_most }
            field HoldAtMost ticks { AtLeast(1 "tick") AtMost(HORIZON) }

            [probe_rule "probe_rule" "[`Config::probe_rule`]"]
            file { ProbeRule, set probe_rule ": `first_failure` or `rates`" }
            field ProbeRule number { NeedsShares("a verdict by rates needs a count or a time window") }

            [probes "probes" "[`Config::probes`]"]
            file { u8, set probes }
            field Probes number { AtLeast(1) AtMost(15) }

            [at_once "at_once" "[`Config::at_once`]"]
            file { u8, set at_once }
            field AtOnce number { AtLeast(1) AtMost(probes) }

            [successes "successes" "[`Config::successes`]"]
            file { u8, set successes }
            field Successes number { AtLeast(1) AtMost(probes) }

            [lease "lease" "[`Config::lease`]"]
            file { Duration, set lease }
            field Lease ticks { AtLeast(1 "tick") AtMost(HORIZON) }

            [ramp "ramp" "[`Config::ramp`]"]
            file { Option<Duration>, set ramp or no_ramp }
            field Ramp ticks { AtLeast(1 "tick") AtMost(HORIZON) }

            [stable_after "stable_after" "[`Config::stable_after`]"]
            file { Option<Duration>, set stable_after or forget_at_once }
            field StableAfter ticks { AtLeast(1 "tick") AtMost((HORIZON / 4) = "stable_after is too long") }

            [levels "levels" "[`Config::levels`]"]
            file { bool, set levels }

            [mode "mode" "[`Breaker::switch`]"]
            file { Mode, by_hand ": `on`, `off`, `open` or `shadow`. Left out, the switch stays as it is." }

            // The rows below are not in the file. A reload may not change the first; the others are of a registry.

            [shape "shape" "A streak's threshold or a window's length, which a [reload](crate::Breaker::reconfigure) may not change"]
            field Shape number {
                Fixed("a reload may not change a streak's threshold, a window's length, or whether it counts slow calls")
            }

            [capacity "capacity" "How many breakers a registry holds"]
            field Capacity number { AtLeast(1 "breaker") }

            [idle_after "idle_after" "How long a registry's breaker must have been idle before it may go"]
            field IdleAfter ticks { AtLeast(16 "ticks") AtMost(HORIZON) }

            [forget_after "forget_after" "How long it must have been idle before it may go though it is not clean"]
            field ForgetAfter ticks { AtLeast(idle_after) AtMost(HORIZON) }
        }
    };
}
pub(crate) use settings;

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    /// The name of each row, the same name as a text, and how it reaches a `Config`.
    macro_rules! rows {
        ($(
            [$name:ident $text:literal $about:literal]
            $(file { $type:ty, $($how:tt)+ })?
            $(field $field:ident $unit:ident $bounds:tt)?
        )+) => {
            vec![$((stringify!($name), $text, rows!(how $($($how)+)?)),)+]
        };
        (how set $method:ident $($more:tt)*) => { How::Set(stringify!($method)) };
        (how by_hand $($more:tt)*) => { How::ByHand };
        (how) => { How::NotInFile };
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum How {
        Set(&'static str),
        ByHand,
        NotInFile,
    }

    /// The compiler checks that the method exists, where `Settings` calls it.
    #[test]
    fn a_setting_has_one_name_and_its_method_has_it_too() {
        let rows: Vec<(&str, &str, How)> = settings!(rows);
        for (name, text, how) in &rows {
            assert_eq!(name, text);
            if let How::Set(method) = how {
                assert_eq!(method.strip_prefix("and_").unwrap_or(method), *name);
            }
        }
        let named = |wanted| rows.iter().filter(|(.., how)| *how == wanted).map(|&(name, ..)| name).collect::<Vec<_>>();
        assert_eq!(named(How::ByHand), ["buckets", "bucket", "mode"]);
        assert_eq!(named(How::NotInFile), ["shape", "capacity", "idle_after", "forget_after"]);
    }
}
