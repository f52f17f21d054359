//! Three keepers of a breaker's state in flash. Firmware can use the first. The second looks safe but is not. The third
//! is wrong, and the story must catch it.

use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};
use microbreaker::Snapshot;
use sequential_storage::cache::{Cache, CacheImpl};
use sequential_storage::map::{MapConfig, MapStorage};

use crate::flash::{Flash, PAGE, SIZE};

/// What a snapshot says about the state: the state with its reason and attempt, the remaining time, and the age.
/// Without the parts in which two snapshots of the same state differ.
pub(crate) type Essence = [u32; 3];

pub(crate) fn essence(snapshot: &Snapshot) -> Essence {
    let [_, control, rest, age, ..] = snapshot.words();
    [control, rest, age]
}

/// The state was not kept, because the flash failed or lost its power.
#[derive(Debug)]
pub(crate) struct NotKept;

/// Keeps the latest state in flash, and nothing in RAM. So every call is like the first one after a boot.
pub(crate) trait Keeper {
    fn save(flash: &mut Flash, snapshot: &Snapshot) -> Result<(), NotKept>;
    fn load(flash: &mut Flash) -> Option<Essence>;
}

/// Polls until the result is there. A flash in RAM never waits, so no waker is needed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
    }
}

/// Bytes of an entry: its number, and then a snapshot.
const ENTRY: usize = 4 + Snapshot::BYTES;
/// The two halves of the flash.
const HALVES: [Range<u32>; 2] = [0..SIZE as u32 / 2, SIZE as u32 / 2..SIZE as u32];
const _: () = assert!(SIZE / 2 >= 2 * PAGE, "sequential-storage needs two pages");

fn map(flash: &mut Flash, half: usize) -> MapStorage<(), &mut Flash, impl CacheImpl<()>> {
    MapStorage::new(flash, MapConfig::new(HALVES[half].clone()), Cache::new_uncached())
}

/// The entry in a half, and its number.
fn fetch(flash: &mut Flash, half: usize) -> Option<(u32, Snapshot)> {
    let mut buffer = [0; ENTRY];
    let entry = block_on(map(flash, half).fetch_item::<[u8; ENTRY]>(&mut buffer, &())).ok()??;
    let (number, bytes) = entry.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), Snapshot::from_bytes(bytes).ok()?))
}

fn store(flash: &mut Flash, half: usize, number: u32, snapshot: &Snapshot) -> Result<(), NotKept> {
    let mut entry = [0; ENTRY];
    entry[..4].copy_from_slice(&number.to_le_bytes());
    entry[4..].copy_from_slice(&snapshot.bytes());
    let mut buffer = [0; ENTRY];
    block_on(map(flash, half).store_item(&mut buffer, &(), &entry)).map_err(|_| NotKept)
}

/// `sequential-storage` alone, on one half.
pub(crate) struct OneMap;

impl Keeper for OneMap {
    fn save(flash: &mut Flash, snapshot: &Snapshot) -> Result<(), NotKept> {
        store(flash, 0, 0, snapshot)
    }

    fn load(flash: &mut Flash) -> Option<Essence> {
        fetch(flash, 0).map(|(_, snapshot)| essence(&snapshot))
    }
}

/// Two maps, used in turn. Wherever a cut happens, the entry before it survives in the other map. One map alone is not
/// enough: the contents of a page whose erasure was cut are undefined (`embedded-storage`), and one map may take half a
/// page for a whole one.
pub(crate) struct TwoMaps;

impl TwoMaps {
    /// The half with the latest entry, the entry's number, and its snapshot.
    fn latest(flash: &mut Flash) -> Option<(usize, u32, Snapshot)> {
        let [first, second] = [0, 1].map(|half| fetch(flash, half).map(|(number, entry)| (half, number, entry)));
        match (first, second) {
            // The numbers wrap, so we compare by their difference.
            (Some(one), Some(other)) => Some(if one.1.wrapping_sub(other.1) < 1 << 31 { one } else { other }),
            (one, other) => one.or(other),
        }
    }
}

impl Keeper for TwoMaps {
    fn save(flash: &mut Flash, snapshot: &Snapshot) -> Result<(), NotKept> {
        let (half, number) = match Self::latest(flash) {
            Some((half, number, _)) => (1 - half, number.wrapping_add(1)),
            None => (0, 0),
        };
        // An earlier cut may have left a map that takes an entry and does not find it again, or no map at all. This
        // half holds nothing that is still needed, so we may erase it.
        if store(flash, half, number, snapshot).is_err() || fetch(flash, half) != Some((number, *snapshot)) {
            block_on(map(flash, half).erase_all()).map_err(|_| NotKept)?;
            store(flash, half, number, snapshot)?;
            if fetch(flash, half) != Some((number, *snapshot)) {
                return Err(NotKept);
            }
        }
        Ok(())
    }

    fn load(flash: &mut Flash) -> Option<Essence> {
        Self::latest(flash).map(|(_, _, snapshot)| essence(&snapshot))
    }
}

/// One place that is erased and written again, and trusted without a check. The story must catch it.
pub(crate) struct Naive;

impl Keeper for Naive {
    fn save(flash: &mut Flash, snapshot: &Snapshot) -> Result<(), NotKept> {
        let mut bytes = [0; 12];
        for (place, word) in bytes.chunks_exact_mut(4).zip(essence(snapshot)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        block_on(async {
            flash.erase(0, PAGE as u32).await?;
            flash.write(0, &bytes).await
        })
        .map_err(|_| NotKept)
    }

    fn load(flash: &mut Flash) -> Option<Essence> {
        let mut bytes = [0; 12];
        block_on(flash.read(0, &mut bytes)).ok()?;
        let mut words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        let essence = [words.next()?, words.next()?, words.next()?];
        (essence != [u32::MAX; 3]).then_some(essence)
    }
}
