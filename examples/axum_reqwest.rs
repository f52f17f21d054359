//! An axum service that asks an upstream by reqwest, with a breaker between them.
//! Run it with `cargo run --example axum_reqwest`.
//!
//! The upstream answers 500 for a while. The service passes the first failures on as 502; then it answers 503 with a
//! `Retry-After` at once, without asking, until the upstream is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use microbreaker::http::HttpStatus;
use microbreaker::io::IoError;
use microbreaker::{Breaker, Config, Error, FailureKind, GuardExt, Outcome, Rejected, StdClock, Streak};
use tokio::net::TcpListener;

// Three failures in a row open the circuit for a second.
static UPSTREAM: Breaker<Streak, StdClock> =
    Breaker::new(Config::streak(3).open_for(Duration::from_secs(1)), StdClock::new());

/// What a result of reqwest says about the upstream: a 500 is an `Ok` for reqwest, but a failure for the breaker.
fn by_status(result: &reqwest::Result<reqwest::Response>) -> Outcome {
    match result {
        Ok(response) => HttpStatus::of(response.status(), response.headers()),
        Err(error) if error.is_builder() => Outcome::Ignored, // the request was never sent
        Err(error) if error.is_timeout() => Outcome::Failure(FailureKind::Timeout),
        Err(error) => IoError::within(error).unwrap_or(Outcome::Failure(FailureKind::Other)),
    }
}

/// The service's route.
async fn page(Shared((client, url)): Shared<(reqwest::Client, String)>) -> Response {
    match client.get(url).send().guarded_with(&UPSTREAM, by_status).await {
        Ok(answer) if answer.status().is_success() => answer.text().await.unwrap_or_default().into_response(),
        Ok(_) | Err(Error::Inner(_)) => StatusCode::BAD_GATEWAY.into_response(),
        Err(Error::Rejected(rejected)) => unavailable(&rejected),
    }
}

/// 503. A circuit that was latched or forced open cannot say for how long.
fn unavailable(rejected: &Rejected) -> Response {
    let seconds = rejected.retry_in().map(|time| time.as_millis().div_ceil(1000).to_string());
    (StatusCode::SERVICE_UNAVAILABLE, seconds.map(|seconds| [(RETRY_AFTER, seconds)]), ()).into_response()
}

/// Serves on a free port of loopback; gives the URL.
async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, routes).await });
    url
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // The upstream, with a switch and a count of what reached it.
    let (broken, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let upstream = {
        let (broken, asked) = (Arc::clone(&broken), Arc::clone(&asked));
        get(async move || {
            asked.fetch_add(1, Ordering::Relaxed);
            if broken.load(Ordering::Relaxed) { Err(StatusCode::INTERNAL_SERVER_ERROR) } else { Ok("hello") }
        })
    };
    let upstream = serve(Router::new().route("/", upstream)).await;

    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let service = serve(Router::new().route("/", get(page)).with_state((client.clone(), upstream))).await;
    let visit = async || {
        let response = client.get(&service).send().await.unwrap();
        match response.headers().get(RETRY_AFTER) {
            Some(seconds) => println!("{}, Retry-After: {}", response.status(), seconds.to_str().unwrap()),
            None => println!("{}", response.status()),
        }
        response
    };

    println!("the upstream is well");
    assert_eq!(visit().await.status(), 200);

    println!("the upstream is broken");
    broken.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(visit().await.status(), 502);
    }
    for _ in 0..3 {
        let rejected = visit().await;
        assert_eq!(rejected.status(), 503);
        assert!(rejected.headers().contains_key(RETRY_AFTER));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4, "the upstream was not asked while the circuit was open");

    println!("the upstream is well again");
    broken.store(false, Ordering::Relaxed);
    tokio::time::sleep(UPSTREAM.retry_in().expect("an open circuit knows its time")).await;
    assert_eq!(visit().await.text().await.unwrap(), "hello");
}
