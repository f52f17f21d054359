//! Telemetry through a modem: a breaker that an application, a supervisor of higher priority and an interrupt share.
//!
//! The application measures a batch every few seconds and sends it in a dialogue of AT commands. By the [plan](plan),
//! the modem falls silent, is refused by the network for a time, and loses its SIM card and its power. Then it falls
//! silent once more while the breaker is disabled, for comparison. Batches that cannot be sent are kept. If there are
//! too many, the oldest are dropped. At the end the counts are compared: the simulator at the other end of the UART
//! must have counted the same.
#![no_std]
#![no_main]

#[path = "modem/at.rs"]
mod at;
#[path = "modem/ledger.rs"]
mod ledger;
#[path = "modem/plan.rs"]
#[expect(dead_code, reason = "the simulator needs more of it")]
mod plan;
#[path = "modem/watch.rs"]
mod watch;

use core::cell::Cell;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use atat::asynch::AtatClient;
use atat::{AtatIngress, CmeError, Error};
use board::uart;
use critical_section::Mutex;
use embassy_executor::{SendSpawner, Spawner};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Instant, Ticker, Timer};
use heapless::String;
use microbreaker::defmt::DefmtLog;
use microbreaker::embassy_time::EmbassyClock;
use microbreaker::{Breaker, Config, FailureKind, OpenReason, Outcome, State, Streak};

use crate::watch::Seen;

/// Three failures in a row open the circuit for half a minute. Each failed probe doubles the time, up to four minutes.
static MODEM: Breaker<Streak, EmbassyClock, (DefmtLog, Seen)> = Breaker::observed(
    Config::modem().open_for(Duration::from_secs(30)).open_at_most(Duration::from_secs(240)),
    EmbassyClock,
    (DefmtLog::new("modem"), Seen::new()),
);

/// Distinguishes this device from others. A real device reads it from its chip.
const DEVICE: u32 = 0x5EED;

/// A batch was measured.
static MEASURED: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// The breaker was reset by hand, so the sender should not sleep on.
static RESET: Signal<CriticalSectionRawMutex, ()> = Signal::new();
/// Whether the modem has a context, as far as is known.
static ATTACHED: AtomicBool = AtomicBool::new(false);

board::handlers!(on_pins);

#[board::entry]
fn main() -> ! {
    board::start();
    MODEM.seed(DEVICE);
    let (rx, tx) = uart::start();
    let (client, receiver, urcs) = at::connect(tx);
    board::executor::run(|main: Spawner, urgent: SendSpawner| {
        main.spawn(receive(receiver, rx).expect("once"));
        main.spawn(listen(urcs).expect("once"));
        main.spawn(measure().expect("once"));
        main.spawn(send(client).expect("once"));
        main.spawn(follow_the_plan().expect("once"));
        urgent.spawn(supervise(client).expect("once"));
    })
}

/// The pins' interrupt. It has no executor and no await, and uses the same breaker.
fn on_pins() {
    static BEFORE: Mutex<Cell<u8>> = Mutex::new(Cell::new(0));
    let now = uart::pins();
    let before = critical_section::with(|cs| BEFORE.borrow(cs).replace(now));
    if before & !now & plan::PIN_POWER != 0 {
        // The modem is off. The breaker need not see three failures to know that, and nobody should ask before the
        // modem can have started.
        MODEM.trip(OpenReason::Dependency, Duration::from_secs(60));
    }
    if now & !before & plan::PIN_SIM != 0 && MODEM.state() == State::Latched {
        // Somebody put a SIM card in, so another try is worthwhile.
        MODEM.reset();
        RESET.signal(());
    }
}

#[embassy_executor::task]
async fn receive(mut receiver: at::Receiver, rx: uart::Rx) {
    receiver.read_from(rx).await;
}

/// Handles what the modem says unasked.
#[embassy_executor::task]
async fn listen(mut urcs: at::Urcs) {
    loop {
        let urc = urcs.next_message_pure().await;
        defmt::info!("unasked: {}", urc);
        // After all other news, the next dialogue has to attach and activate anew.
        if !matches!(urc, at::Urc::Registration(at::Registration { state: 1 | 5 })) {
            ATTACHED.store(false, Ordering::Relaxed);
        }
    }
}

#[embassy_executor::task]
async fn measure() {
    let mut ticker = Ticker::every(ms(plan::BATCH_EVERY));
    loop {
        ticker.next().await;
        ledger::update(|ledger| ledger.measure(215 + (ledger.measured % 7) as i16));
        MEASURED.signal(());
    }
}

/// Sends the measured batches, whenever the circuit admits a call.
#[embassy_executor::task]
async fn send(client: &'static at::Shared) {
    loop {
        MEASURED.wait().await;
        // The task sleeps while the circuit is open, so nothing wakes the modem.
        while let Either::First(Err(rejected)) = select(MODEM.ready(), RESET.wait()).await {
            defmt::warn!("waiting for somebody: {}", rejected);
            RESET.wait().await;
        }
        let mut at = client.lock().await;
        if dialogue(&mut at, async |at| flush(at).await).await == Some(Outcome::Success)
            && ledger::update(|ledger| ledger.dropped > ledger.told)
        {
            dialogue(&mut at, async |at| tell(at).await).await;
        }
    }
}

/// Talks to the modem and reports the outcome. `None`: the call was rejected. Another task took the probe, or opened
/// the circuit meanwhile.
async fn dialogue(
    at: &mut at::Client,
    talk: impl AsyncFnOnce(&mut at::Client) -> Result<(), Error>,
) -> Option<Outcome> {
    let permit = MODEM.acquire().ok()?;
    ledger::update(|ledger| ledger.dialogues += 1);
    let outcome = match talk(at).await {
        Ok(()) => Outcome::Success,
        Err(error) => {
            ATTACHED.store(false, Ordering::Relaxed);
            let outcome = judge(at, &error).await;
            defmt::warn!("{}: {}", error, outcome);
            outcome
        }
    };
    permit.record(outcome);
    Some(outcome)
}

/// Sends all batches that are kept.
async fn flush(at: &mut at::Client) -> Result<(), Error> {
    if !ATTACHED.load(Ordering::Relaxed) {
        at.send(&at::Attach).await?;
        at.send(&at::Activate).await?;
        ATTACHED.store(true, Ordering::Relaxed);
    }
    let at::Socket { number: socket } = at.send(&at::OpenSocket).await?;
    while let Some(batch) = ledger::update(|ledger| ledger.kept.pop_front()) {
        let sent = datagram(at, socket, batch).await;
        ledger::update(|ledger| match sent {
            Ok(()) => ledger.sent += 1,
            Err(_) => ledger.put_back(batch),
        });
        sent?;
    }
    at.send(&at::CloseSocket { socket }).await?;
    Ok(())
}

async fn datagram(at: &mut at::Client, socket: u8, batch: ledger::Batch) -> Result<(), Error> {
    let mut text: String<24> = String::new();
    write!(text, "{} {}", batch.number, batch.decidegrees).map_err(|_| Error::Write)?;
    let address = String::try_from("192.0.2.7").map_err(|_| Error::Write)?;
    at.send(&at::SendTo { socket, address, port: 7000, length: text.len() }).await?;
    let sent: at::Sent = at.send(&at::Data::new(text.as_bytes())).await?;
    if (sent.socket, sent.length) == (socket, text.len()) { Ok(()) } else { Err(Error::InvalidResponse) }
}

/// Tells the operator by a text message how many batches were lost.
async fn tell(at: &mut at::Client) -> Result<(), Error> {
    let (dropped, told) = ledger::update(|ledger| (ledger.dropped, ledger.told));
    let mut text: String<24> = String::new();
    write!(text, "{} lost\u{1A}", dropped - told).map_err(|_| Error::Write)?;
    at.send(&at::SendText { number: String::try_from("+15550100").map_err(|_| Error::Write)? }).await?;
    let _: at::TextSent = at.send(&at::Data::new(text.as_bytes())).await?;
    ledger::update(|ledger| ledger.told = dropped);
    Ok(())
}

/// What an error says about the network.
async fn judge(at: &mut at::Client, error: &Error) -> Outcome {
    match error {
        // Another try is useless until somebody has looked.
        Error::CmeError(
            CmeError::SimNotInserted
            | CmeError::SimFailure
            | CmeError::SimWrong
            | CmeError::SimPin
            | CmeError::SimPuk
            | CmeError::ServiceOptionNotSubscribed,
        ) => Outcome::Latch,
        // The network says when to come back, and we obey.
        Error::CmeError(CmeError::InsufficientResources | CmeError::Congestion | CmeError::ServiceOptionOutOfOrder) => {
            match at.send(&at::ReadBackOff).await {
                Ok(rest) => {
                    defmt::info!("{=str} backs off for {=u32} s", rest.apn, rest.seconds);
                    Outcome::Hold(Duration::from_secs(rest.seconds.into()))
                }
                Err(_) => Outcome::Failure(FailureKind::RateLimited),
            }
        }
        Error::Timeout => Outcome::Failure(FailureKind::Timeout),
        Error::CmeError(_) | Error::CmsError(_) | Error::ConnectionError(_) => Outcome::Failure(FailureKind::Server),
        Error::Parse | Error::InvalidResponse | Error::Capacity => Outcome::Failure(FailureKind::Protocol),
        _ => Outcome::Failure(FailureKind::Other),
    }
}

/// Checks that the modem still answers. It runs in an interrupt, at a higher priority than all of the above.
#[embassy_executor::task]
async fn supervise(client: &'static at::Shared) {
    let mut ticker = Ticker::every(ms(13_000));
    loop {
        ticker.next().await;
        let became: fn(&mut ledger::Pings) -> &mut u32 = match MODEM.acquire() {
            Err(_) => |pings| &mut pings.rejected,
            Ok(permit) => match client.try_lock() {
                // Only the application uses a probe. An answer of the modem would not show that the network is back.
                Ok(mut at) if !permit.is_probe() => {
                    if at.send(&at::At).await.is_ok() {
                        permit.alive();
                        |pings| &mut pings.alive
                    } else {
                        permit.record(Outcome::Failure(FailureKind::Timeout));
                        |pings| &mut pings.failed
                    }
                }
                // If the UART is in use, there is no need to ask. The permit is dropped, so the call counts as
                // cancelled. If it was a probe, its slot is free again.
                _ => |pings| &mut pings.cancelled,
            },
        };
        ledger::update(|ledger| *became(&mut ledger.pings) += 1);
    }
}

/// Measures the outages, and compares the counts at the end.
#[embassy_executor::task]
async fn follow_the_plan() {
    let guarded = outage(plan::GUARDED).await;
    at_time(plan::DISABLED).await;
    MODEM.disable();
    let unguarded = outage(plan::UNGUARDED).await;
    MODEM.reset();
    at_time(plan::END).await;

    let books = ledger::update(|ledger| Books {
        measured: ledger.measured,
        sent: ledger.sent,
        dropped: ledger.dropped,
        kept: ledger.kept.len() as u32,
        guarded,
        unguarded,
        pings: ledger.pings,
    });
    board::exit(i32::from(!books.close()))
}

/// What an outage cost.
#[derive(Clone, Copy)]
struct Cost {
    bytes: u32,
    dialogues: u32,
}

impl Cost {
    fn now() -> Self {
        ledger::update(|ledger| Self { bytes: ledger.bytes, dialogues: ledger.dialogues })
    }
}

async fn outage(begins: u32) -> Cost {
    at_time(begins).await;
    let before = Cost::now();
    at_time(begins + plan::OUTAGE).await;
    let after = Cost::now();
    Cost { bytes: after.bytes - before.bytes, dialogues: after.dialogues - before.dialogues }
}

struct Books {
    measured: u32,
    sent: u32,
    dropped: u32,
    kept: u32,
    guarded: Cost,
    unguarded: Cost,
    pings: ledger::Pings,
}

impl Books {
    /// Prints whether each promise was kept. `false`: one was broken.
    fn close(&self) -> bool {
        let Self { measured, sent, dropped, kept, guarded, unguarded, pings } = *self;
        let seen = &MODEM.observer().1;
        let words =
            [measured, sent, dropped, kept, guarded.bytes, guarded.dialogues, unguarded.bytes, unguarded.dialogues];
        let mut good = true;
        for (promise, kept) in [
            ("every batch is sent, dropped or kept", measured == sent + dropped + kept),
            ("it opened on failures", seen.open(OpenReason::Failures)),
            ("it probed", seen.state(State::HalfOpen)),
            ("it closed again", seen.state(State::Closed)),
            ("it held for the network", seen.open(OpenReason::Hold)),
            ("it latched for the SIM card", seen.state(State::Latched)),
            ("it opened for the power", seen.open(OpenReason::Dependency)),
            ("it was disabled", seen.state(State::Disabled)),
            ("it is closed", MODEM.state() == State::Closed),
            ("the supervisor was answered, rejected and in the way", {
                pings.alive > 0 && pings.rejected > 0 && pings.cancelled > 0
            }),
            ("the simulator has counted the same", uart::account(&words)),
        ] {
            if !kept {
                board::eprintln!("BROKEN: {promise}");
                good = false;
            }
        }
        board::eprintln!("{measured} batches: {sent} sent, {dropped} dropped, {kept} kept");
        board::eprintln!(
            "supervisor: {} alive, {} failed, {} cancelled, {} rejected",
            pings.alive,
            pings.failed,
            pings.cancelled,
            pings.rejected
        );
        board::eprintln!(
            "outage {} s: {} bytes in {} dialogues with the breaker, {} in {} without",
            plan::OUTAGE / 1000,
            guarded.bytes,
            guarded.dialogues,
            unguarded.bytes,
            unguarded.dialogues
        );
        good
    }
}

async fn at_time(since_start: u32) {
    Timer::at(Instant::from_millis(since_start.into())).await;
}

fn ms(time: u32) -> embassy_time::Duration {
    embassy_time::Duration::from_millis(time.into())
}
