//! Settings from outside the program: from files in any format of serde, and from environment variables.
//!
//! [`Settings`] are read by serde or by [`Settings::from_env`]. They make a breaker, and they change one while calls
//! run.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::borrow::Cow;
use std::ffi::OsString;
use std::string::String;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Unexpected, Visitor};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::error::ConfigError;
use crate::config::table::settings;
use crate::config::{Config, ProbeRule};
use crate::machine::window::LiveWindow;
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)+) => {
        /// All options of a [`Config`], and the [`Mode`]. Each of them may be left out.
        ///
        /// The options are flat: each has the name of the method of [`Config`] that sets it, with three exceptions.
        /// `buckets` and `bucket` are the two values of [`Config::time`], and `mode` is a mode of [`Breaker::switch`].
        /// So a file and environment variables have the same names, and an error names the field as it is written
        /// there.
        ///
        /// Times are texts with their unit (`"5s"`, `"250ms"`, `"1m 30s"`), as `humantime` reads them. Numbers and
        /// switches may be texts too, since the environment has only texts. `"off"` (in Rust `Some(None)`) switches off
        /// what the base has set: as `failure_permille` the share of failures, as `slow_after` the slow limit with its
        /// share, as `ramp` the ramp, as `stable_after` the memory of a recovery.
        ///
        /// An unknown name or an invalid value is an error that names the field. If you flatten these settings into a
        /// struct of your own, every name that is not a field of that struct is read as one of these.
        ///
        /// ```
        /// use microbreaker::settings::Settings;
        /// use microbreaker::{Breaker, Config, ManualClock, Mode, Streak};
        ///
        /// let file = r#"{ "open_for": "5s", "probes": 3, "mode": "shadow" }"#;
        /// let settings: Settings = serde_json::from_str(file).unwrap();
        /// let base = Config::database(); // for the options that the file leaves out
        /// let breaker: Breaker<Streak, _> = settings.breaker(base, ManualClock::new(), ()).unwrap();
        /// assert_eq!(breaker.mode(), Mode::Shadow);
        ///
        /// // Later, while calls run. Settings that cannot work are an error, and the old settings stay in force.
        /// let file = r#"{ "probes": 16 }"#;
        /// let again: Settings = serde_json::from_str(file).unwrap();
        /// assert_eq!(
        ///     again.apply(base, &breaker).unwrap_err().to_string(),
        ///     "probes may be at most 15 (it is 16, the most is 15); the settings before it stay in force",
        /// );
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Settings {
            $($(#[$doc])* pub $name: Option<$type>,)+
        }

        impl Settings {
            /// These settings, with those of `others` for options that are left out here. Use it to let the environment
            /// override a file.
            #[must_use]
            pub const fn or(self, others: Self) -> Self {
                Self { $($name: if self.$name.is_some() { self.$name } else { others.$name },)+ }
            }
        }

        const NAMES: &[&str] = &[$(stringify!($name)),+];

        #[expect(non_camel_case_types, reason = "as they are written")]
        enum Name {
            $($name,)+
        }

        /// Reads a name, and refuses an unknown name at its place in the input, so that the format can tell the line.
        impl<'de> Deserialize<'de> for Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match &*Cow::<str>::deserialize(deserializer)? {
                    $(stringify!($name) => Ok(Self::$name),)+
                    unknown => Err(D::Error::unknown_field(unknown, NAMES)),
                }
            }
        }

        impl Serialize for Settings {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let given = [$(self.$name.is_some()),+].into_iter().filter(|given| *given).count();
                let mut fields = serializer.serialize_struct("Settings", given)?;
                $(match self.$name {
                    Some(value) => fields.serialize_field(stringify!($name), &Written(value))?,
                    None => fields.skip_field(stringify!($name))?,
                })+
                fields.end()
            }
        }

        impl<'de> Visitor<'de> for Fields {
            type Value = Settings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings of a circuit breaker")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
                let mut settings = Settings::default();
                while let Some(name) = map.next_key()? {
                    match name {
                        $(Name::$name => {
                            if settings.$name.is_some() {
                                return Err(A::Error::duplicate_field(stringify!($name)));
                            }
                            settings.$name = Some(map.next_value_seed(Read(stringify!($name), PhantomData))?);
                        })+
                    }
                }
                Ok(settings)
            }
        }
    };
}

/// Makes [`Settings`] of the rows of the table that have a `file` part.
macro_rules! rows {
    ($(
        [$name:ident $text:literal $about:literal]
        $(file { $type:ty, $($how:tt)+ })?
        $(field $field:ident $unit:ident $bounds:tt)?
    )+) => {
        options! { $($(#[doc = about!($about $($how)+)] $name: $type,)?)+ }

        impl Settings {
            /// Sets the given options on `config`, except those that [`over`](Self::over) sets by hand.
            fn set(&self, mut config: Config) -> Config {
                // Options that can be off come first. A slow limit of `off` removes the base's share of slow calls. It
                // must not remove a share that is given beside it: these two together are an error.
                $($(set!(or self.$name config $($how)+);)?)+
                $($(set!(set self.$name config $($how)+);)?)+
                config
            }
        }
    };
}

macro_rules! about {
    ($about:literal set $method:ident or $off:ident $($more:literal)?) => {
        concat!($about, ", or [`Config::", stringify!($off), "`] if it is `off`" $(, $more)?)
    };
    ($about:literal set $method:ident $($more:literal)?) => { concat!($about $(, $more)?) };
    ($about:literal by_hand $($more:literal)?) => { concat!($about $(, $more)?) };
}

/// `or` sets an option that can be off, and `set` an option that cannot. Each does nothing for the other kind, nor for
/// an option that is set by hand.
macro_rules! set {
    (or $self:ident.$name:ident $config:ident set $method:ident or $off:ident $($more:literal)?) => {
        if let Some(value) = $self.$name {
            $config = value.map_or($config.$off(), |value| $config.$method(value));
        }
    };
    (set $self:ident.$name:ident $config:ident set $method:ident $($more:literal)?) => {
        if let Some(value) = $self.$name {
            $config = $config.$method(value);
        }
    };
    ($($other:tt)+) => {};
}

settings!(rows);

impl Settings {
    /// Makes a breaker of these settings [over](Self::over) `base`, in the mode that is given.
    pub fn breaker<W: LiveWindow, C: Clock, O: Observer>(
        &self,
        base: Config,
        clock: C,
        observer: O,
    ) -> Result<Breaker<W, C, O>, ConfigError> {
        let breaker = Breaker::try_observed(self.over(base), clock, observer)?;
        if let Some(mode) = self.mode {
            breaker.switch(mode);
        }
        Ok(breaker)
    }

    /// `base`, in which each option that is given here replaces its own. Nothing is checked until a breaker is made of
    /// the result. A configuration has no mode: the result only says whether the breaker starts in shadow.
    pub fn over(&self, base: Config) -> Config {
        let mut config = self.set(base);
        if self.buckets.is_some() || self.bucket.is_some() {
            // If only one half of the time window is given, the other half is the base's. If the base has no time
            // window, a length without a number is an error.
            let (buckets, bucket) = base.time.unwrap_or((0, Duration::from_secs(1)));
            config = config.and_time(self.buckets.unwrap_or(buckets), self.bucket.unwrap_or(bucket));
        }
        if let Some(mode) = self.mode {
            config = config.shadow(mode == Mode::Shadow);
        }
        config
    }

    /// Applies these settings [over](Self::over) `base` to a breaker while calls run: it calls
    /// [`Breaker::reconfigure`], and then switches to the mode, if one is given. On an error nothing changes, not even
    /// the mode.
    ///
    /// Let `base` be the same as when the breaker was made. An option that the file no longer gives is the base's
    /// again. Only the mode stays as it is if the file no longer gives it.
    pub fn apply<W: LiveWindow, C: Clock, O: Observer>(
        &self,
        base: Config,
        breaker: &Breaker<W, C, O>,
    ) -> Result<(), NotApplied> {
        breaker.reconfigure(&self.over(base)).map_err(NotApplied)?;
        if let Some(mode) = self.mode {
            breaker.switch(mode);
        }
        Ok(())
    }

    /// Reads settings from the environment, such as `PREFIX_OPEN_FOR=5s`. Variables that do not begin with the prefix
    /// and an underscore are ignored.
    ///
    /// The name after the prefix may be in upper or lower case. An unknown name is an error, since a mistyped name
    /// would otherwise be overlooked. So no prefix may be the beginning of another prefix.
    pub fn from_env(prefix: &str) -> Result<Self, serde::de::value::Error> {
        // A name or value that is not Unicode becomes a text that is no valid name or value either.
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self::from_vars(prefix, std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// [`from_env`](Self::from_env) for variables from any other source.
    pub fn from_vars(
        prefix: &str,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, serde::de::value::Error> {
        let ours = vars.into_iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(prefix)?.strip_prefix('_')?;
            Some((name.to_ascii_lowercase(), value))
        });
        Self::deserialize(MapDeserializer::new(ours))
    }
}

/// The error of settings that cannot work and so were not applied. The settings before them stay in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotApplied(pub ConfigError);

impl fmt::Display for NotApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the settings before it stay in force", self.0)
    }
}

impl core::error::Error for NotApplied {}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As a map and not as a struct: if a struct is flattened into another one, serde gives it only the names that
        // it knows, so a mistyped name would be overlooked.
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

/// The value of an option: how it is read and written.
trait Value: Copy {
    const EXPECTED: &'static str;
    const OR: &'static str = "";
    fn from_text(text: &str) -> Option<Self>;
    fn from_number(_: u64) -> Option<Self> {
        None
    }
    fn from_switch(_: bool) -> Option<Self> {
        None
    }
    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;
}

macro_rules! numbers {
    ($($type:ident $write:ident $expected:literal;)+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn from_number(number: u64) -> Option<Self> {
                number.try_into().ok()
            }

            fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.$write(self)
            }
        }
    )+};
}

numbers! {
    u8 serialize_u8 "a whole number up to 255";
    u16 serialize_u16 "a whole number up to 65535";
    u32 serialize_u32 "a whole number up to 4294967295";
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_switch(on: bool) -> Option<Self> {
        Some(on)
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self)
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a time with its unit, such as \"5s\" or \"250ms\"";

    fn from_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok()
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self))
    }
}

/// `"off"`, or a value.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const OR: &'static str = ", or \"off\"";

    fn from_text(text: &str) -> Option<Self> {
        if text == "off" { Some(None) } else { T::from_text(text).map(Some) }
    }

    fn from_number(number: u64) -> Option<Self> {
        T::from_number(number).map(Some)
    }

    fn from_switch(on: bool) -> Option<Self> {
        T::from_switch(on).map(Some)
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(serializer),
            None => serializer.serialize_str("off"),
        }
    }
}

impl Value for ProbeRule {
    const EXPECTED: &'static str = "\"first_failure\" or \"rates\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "first_failure" => Some(Self::FirstFailure),
            "rates" => Some(Self::Rates),
            _ => None,
        }
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::FirstFailure => "first_failure",
            Self::Rates => "rates",
        })
    }
}

impl Value for Mode {
    const EXPECTED: &'static str = "\"on\", \"off\", \"open\" or \"shadow\"";

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == text)
    }

    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

struct Written<T>(T);

impl<T: Value> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Reads the value of the field of this name. Its errors tell the name, since not every format does.
struct Read<T>(&'static str, PhantomData<T>);

impl<'de, T: Value> DeserializeSeed<'de> for Read<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<T: Value> Visitor<'_> for Read<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}{}", self.0, T::EXPECTED, T::OR)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text.trim()).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(T::from_number);
        value.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<T, E> {
        T::from_switch(on).ok_or_else(|| E::invalid_value(Unexpected::Bool(on), &self))
    }
}
