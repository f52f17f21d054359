//! The sync facade's atomics. They count what this thread does to shared memory, and another operation can run between
//! any two accesses.

use core::sync::atomic;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::thread_local;

pub use core::sync::atomic::Ordering;

thread_local! {
    static LOADS: Cell<u32> = const { Cell::new(0) };
    static WRITES: Cell<u32> = const { Cell::new(0) };
    static INTERRUPT: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
}

struct Interrupt {
    /// The number of accesses before the handler runs.
    rest: u32,
    handler: Box<dyn FnOnce()>,
}

/// Runs `operation`, and runs `handler` just before its access number `access` (from 0). `None` if it makes fewer
/// accesses.
pub fn interrupted<T>(access: u32, handler: impl FnOnce() + 'static, operation: impl FnOnce() -> T) -> Option<T> {
    INTERRUPT.set(Some(Interrupt { rest: access, handler: Box::new(handler) }));
    let result = operation();
    INTERRUPT.take().is_none().then_some(result)
}

/// The loads and writes since the last call. A failed exchange is a write, because it takes the cache line too.
pub fn take_counts() -> (u32, u32) {
    (LOADS.take(), WRITES.take())
}

fn bump(counter: &'static std::thread::LocalKey<Cell<u32>>) {
    counter.set(counter.get() + 1);
    if let Some(interrupt) = INTERRUPT.take() {
        match interrupt.rest.checked_sub(1) {
            Some(rest) => INTERRUPT.set(Some(Interrupt { rest, ..interrupt })),
            None => (interrupt.handler)(),
        }
    }
}

/// A fence. It writes nothing, so it is not counted.
pub fn fence(order: Ordering) {
    atomic::fence(order);
}

/// An `AtomicU32` that counts.
#[derive(Debug)]
pub struct AtomicU32(atomic::AtomicU32);

#[allow(missing_docs, clippy::missing_errors_doc)]
impl AtomicU32 {
    pub const fn new(value: u32) -> Self {
        Self(atomic::AtomicU32::new(value))
    }

    pub fn load(&self, order: Ordering) -> u32 {
        bump(&LOADS);
        self.0.load(order)
    }

    pub fn store(&self, value: u32, order: Ordering) {
        bump(&WRITES);
        self.0.store(value, order);
    }

    pub fn swap(&self, value: u32, order: Ordering) -> u32 {
        bump(&WRITES);
        self.0.swap(value, order)
    }

    pub fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        bump(&WRITES);
        self.0.fetch_add(value, order)
    }

    pub fn compare_exchange(&self, old: u32, new: u32, won: Ordering, lost: Ordering) -> Result<u32, u32> {
        bump(&WRITES);
        self.0.compare_exchange(old, new, won, lost)
    }

    pub fn compare_exchange_weak(&self, old: u32, new: u32, won: Ordering, lost: Ordering) -> Result<u32, u32> {
        bump(&WRITES);
        self.0.compare_exchange_weak(old, new, won, lost)
    }
}
