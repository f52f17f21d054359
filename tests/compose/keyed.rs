//! Breakers by key, without a heap.

use std::sync::atomic::{AtomicU32, Ordering};

use microbreaker::keyed::{InsertError, Keyed};
use microbreaker::{Breaker, Config, ManualClock, State, Streak};

type Peer = Breaker<Streak, &'static ManualClock>;

static CLOCK: ManualClock = ManualClock::new();

fn peer() -> Peer {
    Breaker::new(Config::streak(2), &CLOCK)
}

#[test]
fn what_cannot_be_added_comes_back_and_nothing_is_replaced() {
    let mut peers: Keyed<&str, Peer, 2> = Keyed::new();
    assert!(peers.is_empty());
    peers.insert("a", peer()).unwrap();
    peers.get("a").unwrap().latch();
    match peers.insert("a", peer()) {
        Err(InsertError::Duplicate("a", back)) => assert_eq!(back.state(), State::Closed),
        other => panic!("{other:?}"),
    }
    assert_eq!(peers.get("a").unwrap().state(), State::Latched, "kept");
    peers.insert("b", peer()).unwrap();
    let error = peers.insert("c", peer()).unwrap_err();
    assert_eq!(error.to_string(), "all places for breakers are taken");
    assert!(matches!(error, InsertError::Full("c", _)));
    assert!(peers.get("c").is_none());
    assert_eq!(peers.len(), 2);
    // A duplicate is reported as a duplicate even if all places are taken.
    assert!(matches!(peers.insert("b", peer()), Err(InsertError::Duplicate("b", _))));
}

#[test]
fn every_thread_reads_and_each_key_is_on_its_own() {
    static LOST: AtomicU32 = AtomicU32::new(0);
    let mut peers: Keyed<u8, Peer, 4> = Keyed::default();
    for key in 0..4 {
        peers.insert(key, peer()).unwrap();
    }
    std::thread::scope(|scope| {
        for key in 0..4 {
            let peers = &peers;
            scope.spawn(move || {
                for _ in 0..1000 {
                    match peers.get(&key).unwrap().acquire() {
                        Ok(permit) if key == 2 => permit.failure(),
                        Ok(permit) => permit.success(),
                        Err(_) if key == 2 => continue,
                        Err(_) => {
                            LOST.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                    };
                }
            });
        }
    });
    assert_eq!(LOST.load(Ordering::Relaxed), 0);
    let states: Vec<_> = peers.statuses().map(|(&key, status)| (key, status.state)).collect();
    assert_eq!(states, [(0, State::Closed), (1, State::Closed), (2, State::Open), (3, State::Closed)]);
    assert_eq!(peers.iter().count(), 4);
}
