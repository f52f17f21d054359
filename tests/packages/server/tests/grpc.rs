//! gRPC calls over real connections: tonic's client with bodies that carry their permits, and an upstream that ends its
//! answers in every possible way.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use h2::Reason;
use h2::server::SendResponse;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use microbreaker::grpc::GrpcStatus;
use microbreaker::http::{AtEnd, GuardedBody};
use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Config, Error, FailureKind, GuardExt, ManualClock, OpenReason, Outcome, Permit, Settle, State, Streak,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

type Watched = Breaker<Streak, ManualClock, Counters>;

fn breaker(config: Config) -> &'static Watched {
    Box::leak(Box::new(Breaker::observed(config.jitter(false), ManualClock::new(), Counters::new("greeter"))))
}

/// How the upstream ends an answer.
#[derive(Clone, Copy)]
enum End {
    /// A message, then a status in the trailers.
    Trailers(&'static [(&'static str, &'static str)]),
    /// A status in the head, and nothing else.
    Alone(&'static [(&'static str, &'static str)]),
    /// A message, and no trailers.
    Bare,
    /// A message, then a reset of the stream when the test asks for it. An earlier reset would discard the message.
    Reset(&'static Notify),
    /// A message, and no end.
    Hangs,
    /// An answer with this HTTP status from a proxy on the way, not from the upstream.
    Proxy(u16),
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

fn answer(respond: &mut SendResponse<Bytes>, end: End) -> Option<h2::SendStream<Bytes>> {
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    match end {
        End::Alone(status) => {
            head.headers_mut().extend(headers(status));
            respond.send_response(head, true).unwrap();
            return None;
        }
        End::Proxy(status) => {
            *head.status_mut() = status.try_into().unwrap();
            respond.send_response(head, true).unwrap();
            return None;
        }
        _ => {}
    }
    let mut stream = respond.send_response(head, false).unwrap();
    stream.send_data(Bytes::from_static(MESSAGE), matches!(end, End::Bare)).unwrap();
    match end {
        End::Trailers(status) => stream.send_trailers(headers(status)).unwrap(),
        End::Reset(when) => {
            tokio::spawn(async move {
                when.notified().await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            });
            return None;
        }
        _ => {}
    }
    Some(stream)
}

/// Answers the requests of one connection with these ends, in order.
async fn upstream(ends: Vec<End>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let mut ends = ends.into_iter();
        let mut kept = Vec::new();
        // Serves until the client goes away.
        while let Some(Ok((_request, mut respond))) = connection.accept().await {
            kept.push(answer(&mut respond, ends.next().unwrap()));
        }
    });
    address
}

/// A connection whose calls are settled when they end, as by a layer, but without a layer.
struct Guarded {
    sender: SendRequest<tonic::body::Body>,
    breaker: &'static Watched,
}

impl GrpcService<tonic::body::Body> for Guarded {
    type ResponseBody = GuardedBody<Incoming, Permit<&'static Watched>>;
    type Error = Error<hyper::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseBody>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx).map_err(Error::Inner)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let permit = match Breaker::acquire_in(self.breaker) {
            Ok(permit) => permit,
            Err(rejected) => return Box::pin(async move { Err(rejected.into()) }),
        };
        let response = self.sender.send_request(request);
        Box::pin(async move { AtEnd(GrpcStatus).settle(permit, response.await).map_err(Error::Inner) })
    }
}

/// A codec that leaves messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

async fn client(breaker: &'static Watched, ends: Vec<End>) -> Grpc<Guarded> {
    let stream = TcpStream::connect(upstream(ends).await).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    Grpc::with_origin(Guarded { sender, breaker }, "http://greeter".parse().unwrap())
}

const PATH: PathAndQuery = PathAndQuery::from_static("/greeter/say");

async fn unary(client: &mut Grpc<Guarded>) -> Result<tonic::Response<Bytes>, Status> {
    client.ready().await.unwrap();
    client.unary(tonic::Request::new(Bytes::from_static(b"who")), PATH, Raw).await
}

async fn streaming(client: &mut Grpc<Guarded>) -> tonic::Streaming<Bytes> {
    client.ready().await.unwrap();
    let request = tonic::Request::new(Bytes::from_static(b"who"));
    client.server_streaming(request, PATH, Raw).await.unwrap().into_inner()
}

/// The counts of successes, failures, alive, ignored and cancelled calls.
fn counts(breaker: &Watched) -> [u32; 5] {
    let counts = breaker.observer().counts();
    [counts.success, counts.failure, counts.alive, counts.ignored, counts.cancelled]
}

fn last_failure(breaker: &Watched) -> FailureKind {
    breaker.observer().counts().last_failure.unwrap().0
}

#[tokio::test]
async fn a_unary_call_counts_by_the_status_that_tonic_sees() {
    const CASES: [(End, Code, [u32; 5]); 7] = [
        (End::Trailers(&[("grpc-status", "0")]), Code::Ok, [1, 0, 0, 0, 0]),
        (End::Trailers(&[("grpc-status", "14")]), Code::Unavailable, [0, 1, 0, 0, 0]),
        (End::Trailers(&[("grpc-status", "5")]), Code::NotFound, [0, 0, 1, 0, 0]),
        (End::Trailers(&[("grpc-status", "1")]), Code::Cancelled, [0, 0, 0, 1, 0]),
        (End::Alone(&[("grpc-status", "8")]), Code::ResourceExhausted, [0, 1, 0, 0, 0]),
        (End::Alone(&[("grpc-status", "16")]), Code::Unauthenticated, [0, 0, 1, 0, 0]),
        (End::Proxy(503), Code::Unavailable, [0, 1, 0, 0, 0]),
    ];
    let breaker = breaker(Config::streak(99));
    let mut client = client(breaker, CASES.map(|case| case.0).into()).await;
    for (at, (_, code, expected)) in CASES.into_iter().enumerate() {
        let before = counts(breaker);
        let result = unary(&mut client).await;
        assert_eq!(result.as_ref().map_or_else(Status::code, |_| Code::Ok), code, "call {at}");
        let after = counts(breaker);
        assert_eq!(std::array::from_fn(|index| after[index] - before[index]), expected, "call {at}");
    }
}

#[tokio::test]
async fn fault_22_answers_that_end_without_a_status_open_the_circuit() {
    let breaker = breaker(Config::streak(2));
    let mut client = client(breaker, vec![End::Bare, End::Bare]).await;
    for _ in 0..2 {
        assert_eq!(breaker.state(), State::Closed);
        let result = unary(&mut client).await;
        assert_eq!(last_failure(breaker), FailureKind::Protocol, "{result:?}");
    }
    assert_eq!(breaker.status().reason, Some(OpenReason::Failures));
    assert!(unary(&mut client).await.is_err(), "rejected: the upstream has no more answers");
    assert_eq!(breaker.observer().counts().rejected, 1);
}

#[tokio::test]
async fn fault_22_a_stream_that_is_reset_in_the_middle_opens_the_circuit() {
    static NOW: Notify = Notify::const_new();
    let breaker = breaker(Config::streak(1));
    let mut client = client(breaker, vec![End::Reset(&NOW)]).await;
    let mut stream = streaming(&mut client).await;
    assert_eq!(stream.message().await.unwrap().unwrap(), "hello");
    assert_eq!((counts(breaker), breaker.state()), ([0; 5], State::Closed));
    NOW.notify_one();
    assert!(stream.message().await.is_err());
    assert_eq!((last_failure(breaker), breaker.state()), (FailureKind::Reset, State::Open));
}

#[tokio::test]
async fn a_pushback_is_obeyed() {
    let breaker = breaker(Config::streak(9));
    let ends = vec![End::Trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "7000")])];
    let mut client = client(breaker, ends).await;
    assert_eq!(unary(&mut client).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(breaker.status().reason, Some(OpenReason::Hold));
    assert!(breaker.retry_in().unwrap() >= Duration::from_secs(7));
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_says_nothing() {
    let breaker = breaker(Config::streak(1));
    let mut client = client(breaker, vec![End::Hangs]).await;
    let mut stream = streaming(&mut client).await;
    assert_eq!(stream.message().await.unwrap().unwrap(), "hello");
    assert_eq!(counts(breaker), [0; 5]);
    drop(stream);
    assert_eq!((counts(breaker), breaker.state()), ([0, 0, 0, 0, 1], State::Closed));
}

/// The example in the documentation.
#[tokio::test]
async fn a_generated_client_is_classified_by_hand() {
    let breaker = breaker(Config::streak(9));
    let classify = |result: &Result<tonic::Response<Bytes>, Status>| match result {
        Ok(_) => Outcome::Success,
        Err(status) => GrpcStatus::of(status.code() as i32, status.metadata().as_ref()),
    };
    let mut failed = Status::unavailable("soon");
    failed.metadata_mut().insert("grpc-retry-pushback-ms", "7000".parse().unwrap());
    assert!(async { Err(Status::not_found("nobody")) }.guarded_with(breaker, classify).await.is_err());
    assert!(async { Ok(tonic::Response::new(Bytes::new())) }.guarded_with(breaker, classify).await.is_ok());
    assert_eq!(counts(breaker), [1, 0, 1, 0, 0]);
    assert!(async { Err(failed) }.guarded_with(breaker, classify).await.is_err());
    assert_eq!(breaker.status().reason, Some(OpenReason::Hold));
    // The documentation warns of this.
    assert_eq!(Status::from_error(Box::new(tonic::TimeoutExpired(()))).code(), Code::Cancelled);
}
