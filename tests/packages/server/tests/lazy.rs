//! A lazily created client among the tasks of a real runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use microbreaker::fallback::Fallback;
use microbreaker::lazy::Lazy;
use microbreaker::{Breaker, Config, StdClock, Streak};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

type Shared = Arc<Breaker<Streak, StdClock>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_make_one_connection_and_another_once_it_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicU32::new(0));
    let accepts = Arc::clone(&accepted);
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
            accepts.fetch_add(1, Ordering::SeqCst);
        }
    });
    let breaker: Shared = Arc::new(Breaker::new(Config::database(), StdClock::new()));
    let lazy: Arc<Lazy<Mutex<TcpStream>, Shared>> = Arc::new(Lazy::new(breaker));
    let connect = move || async move { TcpStream::connect(address).await.map(Mutex::new) };
    for connections in 1..=2 {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let lazy = Arc::clone(&lazy);
                tokio::spawn(async move {
                    lazy.call(connect, async |client| client.lock().await.local_addr()).await.unwrap()
                })
            })
            .collect();
        let mut ports = Vec::new();
        for task in tasks {
            ports.push(task.await.unwrap().port());
        }
        assert!(ports.iter().all(|port| *port == ports[0]), "one connection");
        // The client breaks. Of all tasks that notice, one drops it.
        let client = lazy.current().unwrap();
        assert_eq!((0..4).filter(|_| lazy.discard(&client)).count(), 1);
        while accepted.load(Ordering::SeqCst) < connections {
            tokio::task::yield_now().await;
        }
        assert_eq!(accepted.load(Ordering::SeqCst), connections);
    }
    server.abort();
}

#[tokio::test]
async fn a_chain_of_levels_can_be_spawned() {
    static ONE: std::sync::LazyLock<Breaker<Streak, StdClock>> =
        std::sync::LazyLock::new(|| Breaker::new(Config::streak(1), StdClock::new()));
    let served = tokio::spawn(async {
        Fallback::first(ONE.call_async(|| async { Err::<u8, _>("down") }).await)
            .or_async(|_| async { Ok(2) })
            .await
            .cached_async(|_| async { None })
            .await
            .served()
    });
    assert_eq!(served.await.unwrap().unwrap().value, 2);
}
