//! HTTP calls over real connections, with an upstream that dies in the middle of an answer, stalls, or says when to
//! retry, and with clients that go away.

use std::future::poll_fn;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use microbreaker::http::{AtEnd, GuardedBody, HttpStatus};
use microbreaker::io::IoError;
use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Config, Error, FailureKind, ManualClock, OpenReason, Permit, RejectReason, Settle, State, Streak,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const SECOND: Duration = Duration::from_secs(1);

type Watched = Breaker<Streak, ManualClock, Counters>;
type Guarded<'a> = Response<GuardedBody<Incoming, Permit<&'a Watched>>>;

fn breaker(config: Config) -> Watched {
    Breaker::observed(config.jitter(false), ManualClock::new(), Counters::new("upstream"))
}

/// What the upstream does after its answer.
#[derive(Clone, Copy)]
enum Then {
    Dies,
    Hangs,
}

/// Answers one request.
async fn upstream(answer: &'static str, then: Then) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            peer.read_buf(&mut asked).await.unwrap();
        }
        peer.write_all(answer.as_bytes()).await.unwrap();
        if let Then::Hangs = then {
            // Waits until the client goes away.
            let _ = peer.read_buf(&mut asked).await;
        }
    });
    address
}

async fn request(method: Method, address: SocketAddr) -> Result<Response<Incoming>, hyper::Error> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri("/").header("host", "upstream").body(Empty::<Bytes>::new());
    sender.send_request(request.unwrap()).await
}

async fn guarded<'a>(breaker: &'a Watched, method: Method, answer: &'static str, then: Then) -> Guarded<'a> {
    let permit = breaker.acquire().unwrap();
    let result = request(method, upstream(answer, then).await).await;
    AtEnd(HttpStatus).stall_after(30 * SECOND).settle(permit, result).unwrap()
}

async fn get<'a>(breaker: &'a Watched, answer: &'static str, then: Then) -> Guarded<'a> {
    guarded(breaker, Method::GET, answer, then).await
}

/// Polls for a frame once. `true` if the frame is not there yet.
async fn owes(body: &mut (impl Body + Unpin)) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx).is_pending())).await
}

/// The counts of successes, failures, alive and cancelled calls.
fn counts(breaker: &Watched) -> [u32; 4] {
    let counts = breaker.observer().counts();
    [counts.success, counts.failure, counts.alive, counts.cancelled]
}

fn last_failure(breaker: &Watched) -> Option<FailureKind> {
    breaker.observer().counts().last_failure.map(|(kind, _)| kind)
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const HALF_IN_CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

#[tokio::test]
async fn a_response_is_a_success_when_it_was_read() {
    for answer in [WHOLE, CHUNKS] {
        let breaker = breaker(Config::streak(1));
        let response = get(&breaker, answer, Then::Hangs).await;
        assert_eq!(counts(&breaker), [0, 0, 0, 0], "at its head");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        assert_eq!(counts(&breaker), [1, 0, 0, 0]);
    }
}

#[tokio::test]
async fn a_reader_that_takes_what_was_announced_need_not_ask_for_more() {
    let breaker = breaker(Config::streak(1));
    let mut body = get(&breaker, WHOLE, Then::Hangs).await.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert_eq!(counts(&breaker), [1, 0, 0, 0]);
}

/// In HTTP/2 the end is a flag, which may come in a frame of its own. A proxy to an HTTP/1.1 client does not wait for
/// that frame.
#[tokio::test]
async fn an_http2_upstream_whose_end_is_still_to_come_has_given_its_length() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(listener.accept().await.unwrap().0).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let head = Response::builder().header("content-length", 5).body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
        // Serves until the client goes away.
        while connection.accept().await.is_some() {}
        drop(stream);
    });
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let breaker = breaker(Config::streak(1));
    let permit = breaker.acquire().unwrap();
    let request = Request::builder().uri("http://upstream/").body(Empty::<Bytes>::new()).unwrap();
    let result = sender.send_request(request).await;
    let mut body = AtEnd(HttpStatus).settle(permit, result).unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    assert!(!body.is_end_stream() && owes(&mut body).await, "its end is still to come");
    assert_eq!(counts(&breaker), [0, 0, 0, 0]);
    drop(body);
    assert_eq!(counts(&breaker), [1, 0, 0, 0]);
}

#[tokio::test]
async fn fault_22_an_upstream_that_dies_in_the_middle_of_its_answers_opens() {
    for answer in [HALF, HALF_IN_CHUNKS] {
        let breaker = breaker(Config::streak(2).open_for(SECOND));
        for died in 0..2 {
            assert_eq!((breaker.state(), counts(&breaker)), (State::Closed, [0, died, 0, 0]));
            let response = get(&breaker, answer, Then::Dies).await;
            assert_eq!(response.status(), 200);
            assert!(response.into_body().collect().await.is_err());
            assert_eq!(last_failure(&breaker), Some(FailureKind::Reset));
        }
        assert_eq!(breaker.status().reason, Some(OpenReason::Failures));
        // The head of a probe's answer does not close the circuit; its end does.
        breaker.clock().advance(2 * SECOND);
        let response = get(&breaker, WHOLE, Then::Hangs).await;
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(response.into_body().collect().await.is_ok());
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[tokio::test]
async fn an_upstream_that_stalls_is_a_failure_once_its_reader_gives_up() {
    for (waited, expected) in [(29, [0, 0, 0, 1]), (31, [0, 1, 0, 0])] {
        let breaker = breaker(Config::streak(9));
        let mut body = get(&breaker, HALF, Then::Hangs).await.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        breaker.clock().advance(100 * SECOND);
        assert!(owes(&mut body).await);
        breaker.clock().advance(waited * SECOND);
        drop(body);
        assert_eq!(counts(&breaker), expected, "after {waited} s");
    }
}

#[tokio::test]
async fn a_client_that_leaves_says_nothing() {
    let breaker = breaker(Config::streak(1));
    let mut body = get(&breaker, HALF, Then::Hangs).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    drop(get(&breaker, HALF, Then::Hangs).await);
    assert_eq!((counts(&breaker), breaker.state()), ([0, 0, 0, 2], State::Closed));
}

#[tokio::test]
async fn a_head_that_says_all_settles_the_call() {
    let breaker = breaker(Config::streak(9));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    drop(guarded(&breaker, Method::HEAD, head, Then::Hangs).await);
    assert_eq!(counts(&breaker), [1, 0, 0, 0], "the answer to a HEAD");
    drop(get(&breaker, "HTTP/1.1 204 No Content\r\n\r\n", Then::Hangs).await);
    assert_eq!(counts(&breaker), [2, 0, 0, 0]);
    drop(get(&breaker, "HTTP/1.1 404 Not Found\r\nContent-Length: 500\r\n\r\n", Then::Hangs).await);
    assert_eq!(counts(&breaker), [2, 0, 1, 0]);
    drop(get(&breaker, "HTTP/1.1 500 Oh\r\nContent-Length: 500\r\n\r\n", Then::Hangs).await);
    assert_eq!(counts(&breaker), [2, 1, 1, 0]);
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    for (answer, seconds) in [
        ("HTTP/1.1 429 Wait\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 7),
        ("HTTP/1.1 503 Wait\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 7),
        // The longest hold allowed.
        ("HTTP/1.1 503 Wait\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n", 3600),
    ] {
        let breaker = breaker(Config::streak(9));
        drop(get(&breaker, answer, Then::Hangs).await);
        let rejected = breaker.acquire().unwrap_err();
        assert_eq!(rejected.reason(), RejectReason::Open(OpenReason::Hold), "{answer}");
        let wait = rejected.retry_in().unwrap();
        assert_eq!(wait.as_secs(), seconds, "{answer}");
        breaker.clock().advance(wait);
        assert!(breaker.acquire().unwrap().is_probe(), "{answer}");
    }
}

#[tokio::test]
async fn an_upstream_that_hangs_up_before_its_head_is_a_failure() {
    let breaker = breaker(Config::streak(9));
    let permit = breaker.acquire().unwrap();
    let result = request(Method::GET, upstream("", Then::Dies).await).await;
    assert!(AtEnd(HttpStatus).settle(permit, result).is_err());
    assert_eq!(counts(&breaker), [0, 1, 0, 0]);
}

#[tokio::test]
async fn nobody_listens() {
    let breaker = breaker(Config::streak(1));
    // The socket is bound, so that no other program gets the port, and it does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let dialled = breaker.call_async_with(&IoError, || TcpStream::connect(address)).await;
    assert!(matches!(dialled, Err(Error::Inner(_))));
    assert_eq!((last_failure(&breaker), breaker.state()), (Some(FailureKind::Refused), State::Open));
}

/// The `ErrorKind` of a read timeout differs between systems, but its meaning does not.
#[test]
fn a_blocking_sockets_read_timeout_is_a_timeout() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let breaker = breaker(Config::streak(1));
    assert!(breaker.call_with(&IoError, || stream.read(&mut [0])).is_err());
    assert_eq!((last_failure(&breaker), breaker.state()), (Some(FailureKind::Timeout), State::Open));
}
