//! A real HTTP server on a loopback port. On order it serves, fails, is slow, hangs, refuses connections, or turns
//! clients away.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::{self, select};
use futures_util::stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::load::Dice;

/// How the server treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Serves,
    Fails,
    Slows,
    Hangs,
    Refuses,
    Limits,
}

impl Mood {
    /// What the server does, in words that follow "upstream".
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Fails => "answers 500",
            Self::Slows => "is slow (180 ms)",
            Self::Hangs => "hangs",
            Self::Refuses => "refuses connections",
            Self::Limits => "answers 429 (Retry-After: 1)",
        }
    }

    /// Its letter on the timeline.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Serves => '.',
            Self::Fails => '5',
            Self::Slows => 's',
            Self::Hangs => 'h',
            Self::Refuses => 'r',
            Self::Limits => '4',
        }
    }
}

/// A part of the script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) mood: Mood,
    pub(crate) lasts: Duration,
}

const fn part(mood: Mood, millis: u64) -> Part {
    Part { mood, lasts: Duration::from_millis(millis) }
}

/// Five outages. Each is long enough for several open periods, and a recovery follows each.
pub(crate) const SCRIPT: [Part; 11] = [
    part(Mood::Serves, 1500),
    part(Mood::Fails, 1600),
    part(Mood::Serves, 2000),
    part(Mood::Slows, 1700),
    part(Mood::Serves, 2000),
    part(Mood::Hangs, 2200),
    part(Mood::Serves, 2000),
    part(Mood::Refuses, 1600),
    part(Mood::Serves, 2000),
    part(Mood::Limits, 1500),
    part(Mood::Serves, 2200),
];

/// How long the script takes.
pub(crate) fn script_length() -> Duration {
    SCRIPT.iter().map(|part| part.lasts).sum()
}

/// A probe carries this header, so that the server can count the probes. The breaker does not need it.
pub(crate) const PROBE_HEADER: &str = "x-probe";

/// The path at which the server answers line by line.
pub(crate) const STREAM: &str = "/stream";

const LINES: u32 = 8;
const LINE: Duration = Duration::from_millis(10);

const SLOW_ANSWER: Duration = Duration::from_millis(180);
const RETRY_AFTER_SECONDS: &str = "1";

/// A running server, and the channel for orders to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    orders: mpsc::Sender<Order>,
    probes: Arc<Gauge>,
}

type Order = (Mood, oneshot::Sender<io::Result<()>>);

impl Upstream {
    /// Starts a server that serves, on a port that the system chooses.
    pub(crate) async fn start(seed: u32) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (orders, receiver) = mpsc::channel(1);
        let probes = Arc::new(Gauge::default());
        tokio::spawn(run(Door::Open(listener), address, receiver, Arc::clone(&probes), seed));
        Ok(Self { address, orders, probes })
    }

    /// Its address.
    pub(crate) fn uri(&self) -> Uri {
        let text = format!("http://{}/", self.address);
        text.parse().expect("an address and a path make a URI")
    }

    /// Changes its mood. When this returns, the mood has changed.
    pub(crate) async fn set(&self, mood: Mood) -> io::Result<()> {
        let gone = || io::Error::other("the server stopped");
        let (done, answer) = oneshot::channel();
        self.orders.send((mood, done)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The most probes that it has worked on at the same time.
    pub(crate) fn most_probes_at_once(&self) -> u32 {
        self.probes.most.load(Ordering::SeqCst)
    }
}

/// How many are inside now, and how many were at most.
#[derive(Debug, Default)]
struct Gauge {
    inside: AtomicU32,
    most: AtomicU32,
}

struct Inside<'a>(&'a Gauge);

impl Gauge {
    fn enter(&self) -> Inside<'_> {
        self.most.fetch_max(self.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The port: either the server listens there, or it only holds the port and the system refuses connections.
enum Door {
    Open(TcpListener),
    /// Bound, so that meanwhile neither another process nor a client's end of a connection gets the port.
    Shut(TcpSocket),
}

impl Door {
    fn shut(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Connections that were closed a moment ago still occupy this port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self::Shut(socket))
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
            Self::Shut(_) => pending().await,
        }
    }
}

async fn run(mut door: Door, address: SocketAddr, mut orders: mpsc::Receiver<Order>, probes: Arc<Gauge>, seed: u32) {
    let (mood, moods) = watch::channel(Mood::Serves);
    let mut dice = Dice::new(seed, 0);
    let mut connections = JoinSet::new();
    loop {
        let event = match select(pin!(orders.recv()), pin!(door.accept())).await {
            future::Either::Left((order, _)) => Event::Order(order),
            future::Either::Right((stream, _)) => Event::Client(stream),
        };
        match event {
            // Nobody gives orders any more.
            Event::Order(None) => return,
            Event::Order(Some((next, done))) => {
                let moved = match (door, next) {
                    (Door::Open(listener), Mood::Refuses) => {
                        drop(listener);
                        connections.shutdown().await;
                        Door::shut(address)
                    }
                    (Door::Shut(socket), mood) if mood != Mood::Refuses => socket.listen(1024).map(Door::Open),
                    (same, _) => Ok(same),
                };
                mood.send_replace(next);
                match moved {
                    Ok(moved) => door = moved,
                    Err(error) => {
                        let _ = done.send(Err(error));
                        return;
                    }
                }
                let _ = done.send(Ok(()));
            }
            Event::Client(Ok(stream)) => {
                // Connections that have ended need not be kept.
                while connections.try_join_next().is_some() {}
                connections.spawn(serve(stream, moods.clone(), Arc::clone(&probes), dice.fork()));
            }
            // The process is out of descriptors, or the client is gone already. A server survives both.
            Event::Client(Err(_)) => sleep(Duration::from_millis(1)).await,
        }
    }
}

/// What a server waits for.
enum Event {
    Order(Option<Order>),
    Client(io::Result<TcpStream>),
}

async fn serve(stream: TcpStream, moods: watch::Receiver<Mood>, probes: Arc<Gauge>, dice: Dice) {
    let _ = stream.set_nodelay(true);
    let dice = std::sync::Mutex::new(dice);
    let service = service_fn(|request: Request<Incoming>| {
        let work = dice.lock().map_or(0, |mut dice| dice.roll(4));
        let mood = *moods.borrow();
        let inside = request.headers().contains_key(PROBE_HEADER).then(|| probes.enter());
        let streams = request.uri().path() == STREAM;
        let moods = moods.clone();
        async move {
            let response = answer(mood, Duration::from_millis(2 + u64::from(work)), inside).await;
            let streams = streams && response.status().is_success();
            Ok::<_, Infallible>(
                response.map(|body| if streams { Either::Right(lines(moods)) } else { Either::Left(body) }),
            )
        }
    });
    // A client may drop its connection: that is not an error of the server.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The answer of a server that was in this mood when the request came. If it hung then, it never answers.
async fn answer(mood: Mood, work: Duration, _inside: Option<Inside<'_>>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"ok\n")));
    match mood {
        Mood::Slows => sleep(SLOW_ANSWER).await,
        Mood::Hangs => pending().await,
        _ => sleep(work).await,
    }
    match mood {
        Mood::Fails | Mood::Refuses => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        Mood::Limits => {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        Mood::Serves | Mood::Slows | Mood::Hangs => {}
    }
    response
}

/// An answer of several lines. It breaks off if the server fails meanwhile.
fn lines(moods: watch::Receiver<Mood>) -> impl Body<Data = Bytes, Error = io::Error> {
    StreamBody::new(stream::unfold((moods, 1), async |(moods, line)| {
        sleep(LINE).await;
        let mood = *moods.borrow();
        let frame = match mood {
            _ if line > LINES => return None,
            Mood::Fails | Mood::Refuses => Err(io::Error::other("died in the middle of it")),
            Mood::Hangs => pending().await,
            _ => Ok(Frame::data(Bytes::from(format!("line {line} of {LINES}\n")))),
        };
        Some((frame, (moods, line + 1)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_alternates_and_ends_well_in_time() {
        for (at, part) in SCRIPT.iter().enumerate() {
            assert_eq!(part.mood == Mood::Serves, at % 2 == 0, "each outage is followed by a recovery");
        }
        assert!(script_length() < Duration::from_secs(24));
    }

    #[test]
    fn a_gauge_keeps_its_peak() {
        let gauge = Gauge::default();
        let first = gauge.enter();
        drop(gauge.enter());
        drop(first);
        drop(gauge.enter());
        assert_eq!((gauge.inside.load(Ordering::SeqCst), gauge.most.load(Ordering::SeqCst)), (0, 2));
    }
}
