//! Cuts the power at every word that is written while a sequence of states is saved in flash.

use microbreaker::Snapshot;

use crate::flash::{Cells, Flash, Way};
use crate::keeper::{Keeper, essence};

/// What the cuts came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) cuts: u32,
    /// Boots that found neither the state that was being saved nor the one before it.
    pub(crate) wrong: u32,
    /// Saves after a cut that failed, or did not read back.
    pub(crate) stuck: u32,
    /// Pages erased while nothing was cut.
    pub(crate) erasures: u32,
}

/// Saves `states` one after another, beginning with a blank flash. Each is saved once for every word at which the power
/// can fail.
///
/// A keeper holds nothing in RAM. So it is enough to restore the flash as it was before a save, and the sequence need
/// not begin anew. After each cut there is a boot, then another save that is cut too, then a boot, and then a save that
/// is not cut.
pub(crate) fn everywhere<K: Keeper>(cells: &'static Cells, states: &[Snapshot], way: Way) -> Count {
    let mut count = Count::default();
    cells.blank();
    let mut before = None;
    for (nth, state) in states.iter().enumerate() {
        let next = &states[(nth + 1) % states.len()];
        let start = cells.image();
        let mut flash = Flash::new(cells);
        K::save(&mut flash, state).expect("nothing was cut");
        let (words, end) = (flash.words, cells.image());
        count.erasures += flash.erasures;
        for cut in 0..words {
            cells.restore(&start);
            let mut flash = Flash::cut_after(cells, cut, way, || ());
            let _ = K::save(&mut flash, state);
            assert!(flash.is_dead(), "the same save writes the same words");
            let found = K::load(&mut Flash::new(cells));
            count.cuts += 1;
            count.wrong += u32::from(found != before && found != Some(essence(state)));
            // This cut is somewhere in the next save, which may be repairing.
            let mut flash = Flash::cut_after(cells, cut * 7 % 97, way, || ());
            let saved = K::save(&mut flash, next).is_ok();
            let later = K::load(&mut Flash::new(cells));
            count.cuts += u32::from(flash.is_dead());
            count.wrong += u32::from(later != Some(essence(next)) && (saved || later != found));
            let saved = K::save(&mut Flash::new(cells), next).is_ok();
            count.stuck += u32::from(!saved || K::load(&mut Flash::new(cells)) != Some(essence(next)));
        }
        cells.restore(&end);
        before = Some(essence(state));
    }
    count
}
