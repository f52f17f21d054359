//! An upstream that hangs, guarded in async code. Run it with `cargo run --example async_upstream`.
//!
//! Every call has a time limit of its own, inside the breaker, so that a call that hangs is a failure that the breaker
//! sees. Without the breaker each of the hundred calls during the outage would wait for that limit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use microbreaker::io::IoError;
use microbreaker::{Breaker, Config, CountWindow, Error, GuardExt, State, StdClock, count_words};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long a call may take.
const LIMIT: Duration = Duration::from_millis(200);

// Half of the last ten calls open the circuit for a second; then two good probes close it.
static UPSTREAM: Breaker<CountWindow<{ count_words(10, false) }>, StdClock> =
    Breaker::new(Config::count(10).open_for(Duration::from_secs(1)).probes(2), StdClock::new());

/// A call: a connection, and an answer of five bytes. `timeout` stands inside of what is guarded. The `?` makes its
/// `Elapsed` an `io::Error` of kind `TimedOut`, which `IoError` takes for a failure.
async fn ask(address: &str) -> io::Result<[u8; 5]> {
    let call = async {
        let mut answer = [0; 5];
        TcpStream::connect(address).await?.read_exact(&mut answer).await?;
        Ok(answer)
    };
    timeout(LIMIT, call).await?
}

/// Calls one after the other: how many were answered, failed and were rejected.
async fn calls(number: u32, address: &str) -> (u32, u32, u32) {
    let (mut answered, mut failed, mut rejected) = (0, 0, 0);
    let begin = Instant::now();
    for _ in 0..number {
        // `IoError` knows which errors speak against a peer. To take every error for a failure, `guarded` suffices.
        match ask(address).guarded_with(&UPSTREAM, IoError).await {
            Ok(_) => answered += 1,
            Err(Error::Inner(_)) => failed += 1,
            Err(Error::Rejected(_)) => rejected += 1,
        }
    }
    println!("{number} calls in {:?}: {answered} answered, {failed} failed, {rejected} rejected", begin.elapsed());
    (answered, failed, rejected)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let hangs = Arc::new(AtomicBool::new(false));
    let address = upstream(Arc::clone(&hangs)).await?;

    println!("the upstream is well");
    assert_eq!(calls(20, &address).await, (20, 0, 0));

    println!("the upstream hangs");
    hangs.store(true, Ordering::Relaxed);
    let (answered, failed, _) = calls(100, &address).await;
    assert_eq!((answered, failed), (0, 5), "five of the last ten are half; the rest need not wait");
    assert_eq!(UPSTREAM.state(), State::Open);

    println!("the upstream is well again");
    hangs.store(false, Ordering::Relaxed);
    sleep(UPSTREAM.retry_in().expect("an open circuit knows its time")).await;
    assert_eq!(calls(20, &address).await, (20, 0, 0), "the first two were probes");
    assert_eq!(UPSTREAM.state(), State::Closed);
    Ok(())
}

/// An upstream on loopback. While it hangs it accepts connections and says nothing, as a server without free workers
/// does.
async fn upstream(hangs: Arc<AtomicBool>) -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            if !hangs.load(Ordering::Relaxed) {
                let _ = connection.try_write(b"hello");
            }
            open.push(connection);
        }
    });
    Ok(address)
}
