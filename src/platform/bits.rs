//! Fields of packed words: where each one stands and how wide it is, declared in one place for each word.

/// A field of a 32-bit word: the position of its lowest bit, and its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    at: u32,
    width: u32,
}

impl Bits {
    pub(crate) const fn new(at: u32, width: u32) -> Self {
        Self { at, width }
    }

    /// The position of its lowest bit.
    #[inline(always)]
    pub(crate) const fn at(self) -> u32 {
        self.at
    }

    #[inline(always)]
    pub(crate) const fn width(self) -> u32 {
        self.width
    }

    /// The position of the first bit above it.
    pub(crate) const fn end(self) -> u32 {
        self.at + self.width
    }

    /// The largest value that it holds.
    #[inline(always)]
    pub(crate) const fn max(self) -> u32 {
        u32::MAX >> (u32::BITS - self.width)
    }

    /// All its bits, in place.
    #[inline(always)]
    pub(crate) const fn mask(self) -> u32 {
        self.max() << self.at
    }

    /// One, in place: adding this to a word adds one to the field.
    #[inline(always)]
    pub(crate) const fn unit(self) -> u32 {
        1 << self.at
    }

    /// Its value in `word`.
    #[inline(always)]
    pub(crate) const fn get(self, word: u32) -> u32 {
        word >> self.at & self.max()
    }

    /// Whether any of its bits is set in `word`.
    #[inline(always)]
    pub(crate) const fn is_set(self, word: u32) -> bool {
        word & self.mask() != 0
    }

    /// `value` in place. It must fit: it is not masked, because a mask would cost an instruction.
    #[inline(always)]
    pub(crate) const fn of(self, value: u32) -> u32 {
        debug_assert!(value <= self.max(), "the value is wider than its field");
        value << self.at
    }

    /// All bits if `on`, else none.
    #[inline(always)]
    pub(crate) const fn flag(self, on: bool) -> u32 {
        if on { self.mask() } else { 0 }
    }

    /// `word` with `value` in this field.
    #[inline(always)]
    pub(crate) const fn replace(self, word: u32, value: u32) -> u32 {
        word & !self.mask() | self.of(value)
    }
}

/// Whether each bit of a word belongs to exactly one of `fields`.
pub(crate) const fn fill_a_word(fields: &[Bits]) -> bool {
    let (mut taken, mut at) = (0, 0);
    while at < fields.len() {
        let field = fields[at];
        if field.end() > u32::BITS || taken & field.mask() != 0 {
            return false;
        }
        taken |= field.mask();
        at += 1;
    }
    taken == u32::MAX
}

/// Declares the fields of a packed word as [`Bits`], from the lowest bit up: each begins where the one before it ends.
/// It does not compile unless they fill the 32 bits exactly.
///
/// - `NAME: width` declares a constant.
/// - `NAME` alone is a field that another layout has declared: two readings of one word, or two words, share it.
/// - `unused: width` declares bits that belong to no field.
macro_rules! layout {
    (@from $at:expr, [$($fields:expr,)+]) => {
        const _: () = assert!(
            $crate::platform::bits::fill_a_word(&[$($fields),+]),
            "the fields of this word overlap, or do not fill it"
        );
    };
    (@from $at:expr, [$($fields:expr,)*] unused: $width:expr, $($rest:tt)*) => {
        $crate::platform::bits::layout!(
            @from $at + $width, [$($fields,)* $crate::platform::bits::Bits::new($at, $width),] $($rest)*
        );
    };
    (@from $at:expr, [$($fields:expr,)*] $(#[$doc:meta])* $vis:vis $name:ident: $width:expr, $($rest:tt)*) => {
        $(#[$doc])*
        $vis const $name: $crate::platform::bits::Bits = $crate::platform::bits::Bits::new($at, $width);
        $crate::platform::bits::layout!(@from $name.end(), [$($fields,)* $name,] $($rest)*);
    };
    (@from $at:expr, [$($fields:expr,)*] $name:ident, $($rest:tt)*) => {
        $crate::platform::bits::layout!(@from $name.end(), [$($fields,)* $name,] $($rest)*);
    };
    (@from $($rest:tt)*) => {
        compile_error!("a field is `NAME: width,` or `NAME,` or `unused: width,`");
    };
    ($($fields:tt)+) => {
        $crate::platform::bits::layout!(@from 0, [] $($fields)+);
    };
}
pub(crate) use layout;

#[cfg(test)]
mod tests {
    use super::*;

    layout! {
        LOW: 3,
        unused: 9,
        HIGH: 20,
    }
    layout! {
        LOW,
        MIDDLE: 9,
        HIGH,
    }

    #[test]
    fn fields_that_overlap_or_leave_a_gap_do_not_fill_a_word() {
        assert_eq!([LOW, MIDDLE, HIGH], [Bits::new(0, 3), Bits::new(3, 9), Bits::new(12, 20)]);
        assert!(fill_a_word(&[LOW, MIDDLE, HIGH]));
        assert!(!fill_a_word(&[LOW, HIGH]), "a gap in the middle");
        assert!(!fill_a_word(&[LOW, MIDDLE]), "a gap at the top");
        assert!(!fill_a_word(&[LOW, Bits::new(2, 10), HIGH]), "an overlap");
        assert!(!fill_a_word(&[LOW, MIDDLE, HIGH, HIGH]), "an overlap that leaves no gap");
        assert!(!fill_a_word(&[LOW, MIDDLE, Bits::new(12, 21)]), "a field that ends above the word");
    }

    #[test]
    fn a_field_is_read_and_replaced_in_place() {
        let word = MIDDLE.replace(u32::MAX, 5);
        assert_eq!((LOW.get(word), MIDDLE.get(word), HIGH.get(word)), (LOW.max(), 5, HIGH.max()));
        assert_eq!(word, LOW.mask() | MIDDLE.of(5) | HIGH.flag(true));
        assert_eq!(MIDDLE.get(word + MIDDLE.unit()), 6);
        assert!(MIDDLE.is_set(word) && !MIDDLE.is_set(LOW.mask() | HIGH.mask()));
    }
}
