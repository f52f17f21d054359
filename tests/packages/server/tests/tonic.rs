//! The layer around a tonic channel, on loopback.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut};
use hyper_util::rt::TokioIo;
use microbreaker::grpc::GrpcStatus;
use microbreaker::http::AtEnd;
use microbreaker::metrics::Counters;
use microbreaker::tower::{BreakerLayer, BreakerService};
use microbreaker::{Breaker, Config, Error, FailureKind, ManualClock, Outcome, Rejected, State, Streak};
use server::dropped_after_every_poll;
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{Request as HttpRequest, Response as HttpResponse, Uri};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tower::{Layer, Service, ServiceBuilder, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: Config = Config::streak(2).jitter(false).open_for(SECOND).backoff_1024ths(1024);

type Held = Arc<Breaker<Streak, ManualClock, Counters>>;

fn breaker() -> Held {
    Arc::new(Breaker::observed(CONFIG, ManualClock::new(), Counters::new("channel")))
}

/// A codec whose messages are numbers of one byte.
#[derive(Clone, Copy, Default)]
struct Byte;

impl Codec for Byte {
    type Encode = u8;
    type Decode = u8;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Byte {
    type Item = u8;
    type Error = Status;

    fn encode(&mut self, item: u8, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_u8(item);
        Ok(())
    }
}

impl Decoder for Byte {
    type Item = u8;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<u8>, Status> {
        Ok(buffer.has_remaining().then(|| buffer.get_u8()))
    }
}

/// A service that doubles a number. A number that does not fit is the client's error, and 0 is the server's failure.
#[derive(Clone)]
struct Double;

impl UnaryService<u8> for Double {
    type Response = u8;
    type Future = Ready<Result<Response<u8>, Status>>;

    fn call(&mut self, request: Request<u8>) -> Self::Future {
        ready(match request.into_inner() {
            0 => Err(Status::unavailable("down")),
            number => number.checked_mul(2).map(Response::new).ok_or_else(|| Status::out_of_range("too big")),
        })
    }
}

impl NamedService for Double {
    const NAME: &'static str = "test.Double";
}

impl Service<HttpRequest<Body>> for Double {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        Box::pin(async { Ok(tonic::server::Grpc::new(Byte).unary(Self, request).await) })
    }
}

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::builder().add_service(Double).serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// Classifies by the status in the headers. A call that fails at once has it there.
fn by_status<E>(response: &Result<HttpResponse<Body>, E>) -> Outcome {
    match response.as_ref().map(|response| Status::from_header_map(response.headers())) {
        Ok(Some(status)) if status.code() == Code::Unavailable => Outcome::Failure(FailureKind::Server),
        Ok(Some(status)) if status.code() != Code::Ok => Outcome::Alive,
        Ok(_) => Outcome::Success,
        Err(_) => Outcome::Failure(FailureKind::Refused),
    }
}

/// A channel that makes a new connection when it needs one, unless the network is down.
fn channel(server: SocketAddr, down: &Arc<AtomicBool>) -> Channel {
    let down = Arc::clone(down);
    Endpoint::from(Uri::from_static("http://loopback")).connect_with_connector_lazy(service_fn(move |_| {
        let down = down.load(Ordering::Relaxed);
        async move {
            if down {
                return Err(io::Error::from(io::ErrorKind::NetworkDown));
            }
            TcpStream::connect(server).await.map(TokioIo::new)
        }
    }))
}

async fn double<S>(service: S, number: u8) -> Result<u8, Status>
where
    S: tonic::client::GrpcService<Body, Error: std::fmt::Debug>,
    S::ResponseBody: tonic::codegen::Body + Send + 'static,
    <S::ResponseBody as tonic::codegen::Body>::Error: Into<tower::BoxError>,
{
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/test.Double/Double");
    client.unary(Request::new(number), path, Byte).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_channel_behind_the_layer() {
    let breaker = breaker();
    let channel = channel(serve().await, &Arc::default());
    let service = ServiceBuilder::new()
        .map_err(Error::into_boxed)
        .layer(BreakerLayer::new(Arc::clone(&breaker)).classify(by_status))
        .service(channel);
    assert_eq!(double(service.clone(), 21).await.unwrap(), 42);
    for number in [0, 200, 0] {
        double(service.clone(), number).await.unwrap_err();
    }
    assert_eq!(breaker.state(), State::Open);
    let status = double(service.clone(), 21).await.unwrap_err();
    let rejected = status.source().and_then(|error| error.downcast_ref::<Rejected>());
    assert_eq!(rejected.and_then(Rejected::retry_in), Some(SECOND), "{status:?}");
    breaker.clock().advance(SECOND);
    assert_eq!(double(service, 21).await.unwrap(), 42);
    assert_eq!((breaker.state(), breaker.observer().counts().rejected), (State::Closed, 1));
}

#[tokio::test]
async fn a_channel_that_reconnects_behind_the_layer() {
    let breaker = breaker();
    let down = Arc::new(AtomicBool::new(true));
    let channel = channel(serve().await, &down);
    let service: BreakerService<Channel, Held> = BreakerLayer::new(Arc::clone(&breaker)).layer(channel);
    for _ in 0..2 {
        let status = double(service.clone(), 21).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "the channel's own error, as it is: {status:?}");
    }
    assert_eq!(breaker.state(), State::Open);
    double(service.clone(), 21).await.unwrap_err();
    assert_eq!(breaker.observer().counts().rejected, 1);
    // The probe cannot connect either.
    breaker.clock().advance(SECOND);
    double(service.clone(), 21).await.unwrap_err();
    assert_eq!((breaker.state(), breaker.status().attempt), (State::Open, 1));
    down.store(false, Ordering::Relaxed);
    breaker.clock().advance(SECOND);
    assert_eq!(double(service.clone(), 21).await.unwrap(), 42);
    assert_eq!((breaker.state(), breaker.observer().counts().failure), (State::Closed, 3));
}

/// The user can choose the status for a rejection.
#[tokio::test]
async fn a_rejection_as_a_status() {
    let breaker = breaker();
    let service = ServiceBuilder::new()
        .map_err(|error: Error<tonic::transport::Error>| match error {
            Error::Rejected(rejected) => Status::unavailable(rejected.to_string()),
            error @ Error::Inner(_) => Status::from_error(error.into_boxed()),
        })
        .layer(BreakerLayer::new(Arc::clone(&breaker)))
        .service(channel(serve().await, &Arc::default()));
    breaker.force_open();
    let status = double(service, 21).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("until it is reset"), "{status:?}");
}

/// The breaker judges head and body.
#[tokio::test]
async fn a_call_may_be_dropped_after_any_poll() {
    let breaker = breaker();
    let service = ServiceBuilder::new()
        .map_err(Error::into_boxed)
        .layer(
            BreakerLayer::new(Arc::clone(&breaker))
                .settle(AtEnd(GrpcStatus.errors(|_: &tonic::transport::Error| Outcome::Failure(FailureKind::Other)))),
        )
        .service(channel(serve().await, &Arc::default()));
    let polls = dropped_after_every_poll(&breaker, async || double(service.clone(), 21).await.unwrap() == 42).await;
    assert!(polls > 1 && breaker.observer().counts().cancelled > 0, "{polls}: {:?}", breaker.observer().counts());
}
