//! The layer in an axum router, on loopback. A route cannot return an error, so the layer judges the response.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use microbreaker::metrics::Counters;
use microbreaker::tower::BreakerLayer;
use microbreaker::{Breaker, Config, Error, FailureKind, ManualClock, Outcome, Rejected, State, Streak};
use server::dropped_after_every_poll;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::{ServiceBuilder, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(2).jitter(false).open_for(Duration::from_secs(2));

type Held = Arc<Breaker<Streak, ManualClock, Counters>>;

fn breaker() -> Held {
    Arc::new(Breaker::observed(CONFIG, ManualClock::new(), Counters::new("routes")))
}

fn by_status(response: &Result<Response, Infallible>) -> Outcome {
    match response.as_ref().map(Response::status) {
        Ok(status) if status.is_server_error() => Outcome::Failure(FailureKind::Server),
        Ok(status) if status.is_client_error() => Outcome::Alive,
        _ => Outcome::Success,
    }
}

/// The response to a rejected call: 503, with the time to retry in whole seconds.
fn unavailable(rejected: Rejected) -> Response {
    let seconds = rejected.retry_in().map_or(3600, |time| time.as_millis().div_ceil(1000));
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds.to_string())]).into_response()
}

fn routes() -> Router {
    Router::new()
        .route("/good", get(async || "good"))
        .route("/bad", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/worse", get(async || StatusCode::BAD_GATEWAY))
        .route("/yours", get(async || StatusCode::BAD_REQUEST))
}

/// Serves on a free port until the test is over. Returns the URL.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// The response that a client without proxies gets.
async fn get_from(url: String) -> reqwest::Response {
    reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap()
}

async fn status(url: String) -> u16 {
    get_from(url).await.status().as_u16()
}

/// The part that both ways of answering have in common.
async fn opens_answers_and_recovers(breaker: Held, router: Router) {
    let server = serve(router).await;
    // Fault 19: a client's error is not the server's failure.
    for _ in 0..5 {
        assert_eq!(status(format!("{server}/yours")).await, 400);
    }
    assert_eq!(breaker.state(), State::Closed);
    // Fault 23: all routes share one breaker, although axum makes a service of each.
    assert_eq!(status(format!("{server}/bad")).await, 500);
    assert_eq!(status(format!("{server}/worse")).await, 502);
    assert_eq!(breaker.state(), State::Open);
    for route in ["good", "bad", "yours"] {
        let response = get_from(format!("{server}/{route}")).await;
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    }
    breaker.clock().advance(2 * SECOND);
    assert_eq!(status(format!("{server}/good")).await, 200);
    assert_eq!((breaker.state(), breaker.observer().counts().rejected), (State::Closed, 3));
}

#[tokio::test]
async fn routes_answer_rejections_themselves() {
    let breaker = breaker();
    let layer = BreakerLayer::new(Arc::clone(&breaker)).classify(by_status).answer(unavailable);
    opens_answers_and_recovers(breaker, routes().layer(layer)).await;
}

#[tokio::test]
async fn a_handle_error_layer_answers_rejections() {
    let breaker = breaker();
    let handle = HandleErrorLayer::new(async |error: Error<Infallible>| match error {
        Error::Rejected(rejected) => unavailable(rejected),
        Error::Inner(never) => match never {},
    });
    let layer = ServiceBuilder::new().layer(handle).layer(BreakerLayer::new(Arc::clone(&breaker)).classify(by_status));
    opens_answers_and_recovers(breaker, routes().layer(layer)).await;
}

/// Fault 2: if a client hangs up, its probe is lost unless the probe's slot is given back.
#[tokio::test]
async fn a_client_that_hangs_up_gives_its_probe_back() {
    struct Gone(Arc<Notify>);

    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    let breaker = breaker();
    let (begun, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hang = {
        let (begun, gone) = (Arc::clone(&begun), Arc::clone(&gone));
        async move || {
            let _gone = Gone(gone);
            begun.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let layer = BreakerLayer::new(Arc::clone(&breaker)).classify(by_status).answer(unavailable);
    let server = serve(routes().route("/hang", get(hang)).layer(layer)).await;
    assert!(matches!(breaker.hold(SECOND), microbreaker::Effect::Opened(_)));
    breaker.clock().advance(SECOND);
    {
        let mut request = tokio_test::task::spawn(get_from(format!("{server}/hang")));
        tokio::select! {
            _ = &mut request => unreachable!("it hangs"),
            () = begun.notified() => {}
        }
        assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 1));
        assert_eq!(status(format!("{server}/good")).await, 503);
    }
    gone.notified().await;
    assert_eq!((breaker.state(), breaker.status().probes_in_flight), (State::HalfOpen, 0));
    assert_eq!(status(format!("{server}/good")).await, 200);
    assert_eq!(breaker.state(), State::Closed);
}

/// Drops the call wherever it waits, as axum does when a client hangs up.
#[tokio::test]
async fn a_routes_call_may_be_dropped_after_any_poll() {
    let breaker = breaker();
    let slow = async || {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    };
    let layer = BreakerLayer::new(Arc::clone(&breaker)).classify(by_status).answer(unavailable);
    let router = Router::new().route("/", get(slow)).layer(layer);
    let request = || Request::get("/").body(Body::empty()).unwrap();
    let call = async || router.clone().oneshot(request()).await.unwrap().status() == 200;
    let polls = dropped_after_every_poll(&breaker, call).await;
    assert_eq!((polls, breaker.observer().counts().cancelled), (4, 3));
}
