//! What the public enums without data have in common: a list of all variants, and a name for each variant.

/// Declares an enum whose variants have names: `ALL`, `name` and `Display` follow. The first line says how names are
/// written.
macro_rules! named {
    (
        #[names = $names:literal]
        $(#[$meta:meta])*
        $vis:vis enum $enum:ident {
            $($(#[$variant_meta:meta])* $variant:ident $(= $number:literal)? => $name:literal,)+
        }
    ) => {
        $(#[$meta])*
        $vis enum $enum {
            $($(#[$variant_meta])* $variant $(= $number)?,)+
        }

        impl $enum {
            /// Every variant, in the order of declaration.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            #[doc = concat!("The name ", $names, ".")]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        $crate::platform::named::display_by_name!($enum);
    };
}
pub(crate) use named;

/// Shows a type by its `name`, with the formatter's width.
macro_rules! display_by_name {
    ($type:ty) => {
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}
pub(crate) use display_by_name;
