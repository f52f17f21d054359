//! Two embassy executors: one of the main program, which sleeps when there is nothing to do, and one of a higher
//! priority, in an interrupt that software raises.
//!
//! Both are raw executors, because the board decides how it sleeps. It halts with interrupts masked, so no wake-up is
//! missed and QEMU lets the time until the next wake-up pass at once.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::Mutex;
use embassy_executor::raw::Executor;
use embassy_executor::{SendSpawner, Spawner};
use static_cell::StaticCell;

use crate::interrupts;

/// Whether a task of the main program is to be polled.
static WORK: AtomicBool = AtomicBool::new(false);
static URGENT: Mutex<Cell<Option<Urgent>>> = Mutex::new(Cell::new(None));

/// The executor in the interrupt.
#[derive(Clone, Copy)]
struct Urgent(&'static Executor);

// SAFETY: `run` makes the executor, and then only the interrupt polls it.
unsafe impl Send for Urgent {}

/// What tells the executors apart.
const MAIN: *mut () = ptr::null_mut();
const INTERRUPT: *mut () = ptr::without_provenance_mut(1);

// SAFETY: embassy calls the function of this name, with this signature, when a task is woken.
#[unsafe(export_name = "__pender")]
fn pender(context: *mut ()) {
    if context == MAIN {
        // Release. Partner: `run`'s load. It publishes nothing but the flag, because a task's state has orderings of
        // its own.
        WORK.store(true, Ordering::Release);
    } else {
        interrupts::raise_tasks();
    }
}

/// Runs the tasks that `begin` spawns, of the main program and of the interrupt.
pub fn run(begin: impl FnOnce(Spawner, SendSpawner)) -> ! {
    static MAIN_EXECUTOR: StaticCell<Executor> = StaticCell::new();
    static INTERRUPT_EXECUTOR: StaticCell<Executor> = StaticCell::new();

    let main: &'static Executor = MAIN_EXECUTOR.init_with(|| Executor::new(MAIN));
    let urgent: &'static Executor = INTERRUPT_EXECUTOR.init_with(|| Executor::new(INTERRUPT));
    critical_section::with(|cs| URGENT.borrow(cs).set(Some(Urgent(urgent))));
    interrupts::start();
    begin(main.spawner(), urgent.spawner().make_send());
    loop {
        // We load and then store, because not every core has a swap. If a task is woken between the two, the poll below
        // finds it.
        if WORK.load(Ordering::Acquire) {
            WORK.store(false, Ordering::Relaxed);
            // SAFETY: the executor is polled only here, and `pender` does not poll it.
            unsafe { main.poll() };
        } else {
            critical_section::with(|_| {
                if !WORK.load(Ordering::Acquire) {
                    interrupts::wait();
                }
            });
        }
    }
}

/// Polls the tasks of the interrupt. The interrupt's handler calls this.
pub fn on_interrupt() {
    if let Some(Urgent(executor)) = critical_section::with(|cs| URGENT.borrow(cs).get()) {
        // SAFETY: the executor is polled only here, and the handler does not interrupt itself.
        unsafe { executor.poll() };
    }
}
