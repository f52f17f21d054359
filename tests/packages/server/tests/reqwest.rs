//! The layer around reqwest's client, and around its connector.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use microbreaker::metrics::Counters;
use microbreaker::tower::BreakerLayer;
use microbreaker::{Breaker, Config, Error, FailureKind, ManualClock, Outcome, Rejected, State, Streak};
use reqwest::{Client, Request, Response};
use tokio::net::{TcpListener, TcpSocket};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(2).jitter(false).open_for(SECOND);

type Held = Arc<Breaker<Streak, ManualClock, Counters>>;

fn breaker() -> Held {
    Arc::new(Breaker::observed(CONFIG, ManualClock::new(), Counters::new("upstream")))
}

fn by_status(response: &Result<Response, reqwest::Error>) -> Outcome {
    match response {
        Ok(response) if response.status().is_server_error() => Outcome::Failure(FailureKind::Server),
        Ok(response) if response.status().is_client_error() => Outcome::Alive,
        Ok(_) => Outcome::Success,
        Err(error) if error.is_connect() => Outcome::Failure(FailureKind::Refused),
        Err(_) => Outcome::Failure(FailureKind::Other),
    }
}

fn serve(listener: TcpListener) {
    let routes = Router::new()
        .route("/good", get(async || "good"))
        .route("/bad", get(async || StatusCode::INTERNAL_SERVER_ERROR));
    tokio::spawn(async { axum::serve(listener, routes).await });
}

fn rejection<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Rejected> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

#[tokio::test]
async fn a_client_behind_the_layer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    serve(listener);
    let breaker = breaker();
    let mut client = BreakerLayer::new(Arc::clone(&breaker))
        .classify(by_status)
        .layer(Client::builder().no_proxy().build().unwrap());
    let get = |route: &str| Request::new(reqwest::Method::GET, format!("{server}/{route}").parse().unwrap());
    for (route, status) in [("good", 200), ("bad", 500), ("none", 404), ("bad", 500)] {
        assert_eq!(client.ready().await.unwrap().call(get(route)).await.unwrap().status().as_u16(), status);
    }
    assert_eq!(breaker.state(), State::Open);
    let error = client.clone().oneshot(get("good")).await.unwrap_err();
    assert_eq!(error.rejected().and_then(Rejected::retry_in), Some(SECOND));
    breaker.clock().advance(SECOND);
    assert_eq!(client.oneshot(get("good")).await.unwrap().text().await.unwrap(), "good");
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_connector_behind_the_layer() {
    let breaker = breaker();
    let layer = ServiceBuilder::new().map_err(Error::into_boxed).layer(BreakerLayer::new(Arc::clone(&breaker)));
    let client = Client::builder().no_proxy().connector_layer(layer).build().unwrap();
    // The socket is bound but does not listen: it refuses connections, and no other program gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/good", socket.local_addr().unwrap());
    for _ in 0..2 {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_connect() && rejection(&error).is_none(), "{error:?}");
    }
    assert_eq!(breaker.state(), State::Open);
    let error = client.get(&url).send().await.unwrap_err();
    assert_eq!(rejection(&error).and_then(Rejected::retry_in), Some(SECOND), "{error:?}");
    serve(socket.listen(8).unwrap());
    assert!(rejection(&client.get(&url).send().await.unwrap_err()).is_some(), "not before its time");
    breaker.clock().advance(SECOND);
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "good");
    let counts = breaker.observer().counts();
    assert_eq!((breaker.state(), counts.failure, counts.rejected, counts.success), (State::Closed, 2, 2, 1));
}
