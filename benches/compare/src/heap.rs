//! Counts what is taken from the heap, in passes that measure nothing else. In all other passes it costs one load per
//! allocation, so that counting does not slow a rival that allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static KEPT: AtomicI64 = AtomicI64::new(0);

/// `size` as a signed number: an object is never larger than `isize::MAX`.
#[expect(clippy::cast_possible_wrap, reason = "see above")]
fn bytes(size: usize) -> i64 {
    size as i64
}

// SAFETY: every call goes to the system's allocator; counters are only added. The default `realloc` and `alloc_zeroed`
// call these two methods.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            KEPT.fetch_add(bytes(layout.size()), Ordering::Relaxed);
        }
        // SAFETY: our caller promises what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTS.load(Ordering::Relaxed) {
            KEPT.fetch_sub(bytes(layout.size()), Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What a piece of code took from the heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    pub allocations: u64,
    /// Bytes taken and not given back.
    pub kept: i64,
}

/// Runs `body` and counts what it took. Nothing else in this process may allocate meanwhile.
pub fn count<T>(body: impl FnOnce() -> T) -> (T, Heap) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    TAKEN.store(0, Ordering::Relaxed);
    KEPT.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
    let value = body();
    COUNTS.store(false, Ordering::Relaxed);
    (value, Heap { allocations: TAKEN.load(Ordering::Relaxed), kept: KEPT.load(Ordering::Relaxed) })
}
