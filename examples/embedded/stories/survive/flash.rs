//! A NOR flash in RAM. A reset leaves it alone, and its power can be cut at every word.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Bytes of a page. A page is the smallest unit that can be erased.
pub(crate) const PAGE: usize = 256;
/// Bytes of the flash.
pub(crate) const SIZE: usize = 4 * PAGE;
/// Bytes that are written at once.
const WORD: usize = 4;
const WORDS: usize = SIZE / WORD;

/// The words, and a bit for each that says whether it was written since its erasure. A word that was written with ones
/// needs the bit.
pub(crate) struct Cells {
    words: [AtomicU32; WORDS],
    written: [AtomicU32; WORDS / 32],
}

/// The whole flash at a moment.
pub(crate) struct Image([u32; WORDS + WORDS / 32]);

impl Cells {
    fn all(&self) -> impl Iterator<Item = &AtomicU32> {
        self.words.iter().chain(&self.written)
    }

    pub(crate) fn image(&self) -> Image {
        let mut image = Image([0; _]);
        for (to, from) in image.0.iter_mut().zip(self.all()) {
            *to = from.load(Relaxed);
        }
        image
    }

    pub(crate) fn restore(&self, image: &Image) {
        for (to, from) in self.all().zip(&image.0) {
            to.store(*from, Relaxed);
        }
    }

    /// Makes the flash as it comes from the factory.
    pub(crate) fn blank(&self) {
        for word in &self.words {
            word.store(u32::MAX, Relaxed);
        }
        for bits in &self.written {
            bits.store(0, Relaxed);
        }
    }
}

/// How a power cut leaves an operation that it interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The words before the cut are done, and the words after it are not. An erasure begins with a page's first word.
    Forwards,
    /// An erasure begins with a page's last word.
    Backwards,
    /// As `Forwards`, but some bits of the word at the cut have changed already.
    Torn,
}

/// The flash under power, until the power is cut.
pub(crate) struct Flash {
    cells: &'static Cells,
    way: Way,
    /// How many more words can be changed before the power is cut.
    left: u32,
    at_cut: fn(),
    is_dead: bool,
    /// Words written or erased so far.
    pub(crate) words: u32,
    /// Pages that were erased completely.
    pub(crate) erasures: u32,
}

/// Why the flash refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The flash has no power.
    NoPower,
    /// The word was written before, and not erased since.
    Written,
    /// There is no such word or page.
    Bounds,
}

impl NorFlashError for Fault {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl Flash {
    pub(crate) fn new(cells: &'static Cells) -> Self {
        Self::cut_after(cells, u32::MAX, Way::Forwards, || ())
    }

    /// A flash with power for `left` words. Then `at_cut` is called, and after that everything fails.
    pub(crate) fn cut_after(cells: &'static Cells, left: u32, way: Way, at_cut: fn()) -> Self {
        Self { cells, way, left, at_cut, is_dead: false, words: 0, erasures: 0 }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Writes or erases a word, if there is power for it.
    fn change(&mut self, at: usize, to: u32, is_written: bool) -> Result<(), Fault> {
        let (word, bits) = (&self.cells.words[at], &self.cells.written[at / 32]);
        let bit = 1 << (at % 32);
        if is_written && (bits.load(Relaxed) & bit != 0 || word.load(Relaxed) != u32::MAX) {
            return Err(Fault::Written);
        }
        if self.left == 0 {
            if self.way == Way::Torn {
                // Every other bit has its new value already.
                let old = word.load(Relaxed);
                word.store(old ^ (old ^ to) & 0x5555_5555, Relaxed);
                bits.store(bits.load(Relaxed) | bit, Relaxed);
            }
            (self.at_cut)();
            self.is_dead = true;
            return Err(Fault::NoPower);
        }
        self.left -= 1;
        self.words += 1;
        word.store(to, Relaxed);
        let others = bits.load(Relaxed) & !bit;
        bits.store(if is_written { others | bit } else { others }, Relaxed);
        Ok(())
    }

    /// The words of `length` bytes from `offset`, which are multiples of `unit`.
    fn words(&self, offset: u32, length: usize, unit: usize) -> Result<core::ops::Range<usize>, Fault> {
        let offset = offset as usize;
        if self.is_dead {
            return Err(Fault::NoPower);
        }
        if !offset.is_multiple_of(unit) || !length.is_multiple_of(unit) || offset + length > SIZE {
            return Err(Fault::Bounds);
        }
        Ok(offset / WORD..(offset + length) / WORD)
    }
}

impl ErrorType for Flash {
    type Error = Fault;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = WORD;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        for (at, to) in self.words(offset, bytes.len(), WORD)?.zip(bytes.chunks_exact_mut(WORD)) {
            to.copy_from_slice(&self.cells.words[at].load(Relaxed).to_le_bytes());
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Fault> {
        let words = self.words(from, to.checked_sub(from).ok_or(Fault::Bounds)? as usize, PAGE)?;
        for page in words.step_by(PAGE / WORD) {
            for nth in 0..PAGE / WORD {
                let nth = if self.way == Way::Backwards { PAGE / WORD - 1 - nth } else { nth };
                self.change(page + nth, u32::MAX, false)?;
            }
            self.erasures += 1;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        for (at, from) in self.words(offset, bytes.len(), WORD)?.zip(bytes.chunks_exact(WORD)) {
            self.change(at, u32::from_le_bytes([from[0], from[1], from[2], from[3]]), true)?;
        }
        Ok(())
    }
}
