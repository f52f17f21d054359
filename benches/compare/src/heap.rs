//! What is taken from the heap: counted while asked to, in passes of their own. Otherwise one load per allocation, so
//! that a rival that allocates is not slowed by being watched.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static KEPT: AtomicI64 = AtomicI64::new(0);

/// An object is never larger than `isize::MAX`.
#[expect(clippy::cast_possible_wrap, reason = "see above")]
fn bytes(size: usize) -> i64 {
    size as i64
}

// SAFETY: it is the system's allocator, with counters beside it. `realloc` and `alloc_zeroed` come down to these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            KEPT.fetch_add(bytes(layout.size()), Ordering::Relaxed);
        }
        // SAFETY: what our caller promised us.
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

/// What something took from the heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap {
    pub allocations: u64,
    /// Taken and not given back.
    pub kept: i64,
}

/// What `body` took, while nothing else in this process allocates.
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
