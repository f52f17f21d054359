//! Passing a call on. Headers about one connection stay on that connection (RFC 9110 §7.6.1). If a call makes no
//! progress, the gateway knows whether the client or the upstream is waited for, so a slow client does not count
//! against the upstream.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, VIA};
use hyper::{StatusCode, Uri, Version};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use microbreaker::io::IoError;
use microbreaker::{FailureKind, Outcome};
use tokio::sync::watch;
use tokio::time::sleep;
use tower::BoxError;
use tower_http::timeout::TimeoutBody;

pub(crate) type Client = legacy::Client<HttpConnector, Upload>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The upstream neither takes the request nor answers it.
    Late,
    /// The client did not send its whole request.
    Unsent,
    Broken(legacy::Error),
}

impl Fault {
    /// What the fault says about the upstream.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Late => Outcome::Failure(FailureKind::Timeout),
            Self::Unsent => Outcome::Ignored,
            Self::Broken(error) => IoError::within(error).unwrap_or(Outcome::Failure(FailureKind::Other)),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Late => StatusCode::GATEWAY_TIMEOUT.into_response(),
            Self::Unsent => StatusCode::REQUEST_TIMEOUT.into_response(),
            Self::Broken(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}

/// The headers of a connection. The header `Connection` may name more.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        named.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

/// The request as the upstream gets it. The path below `base` is appended, as it was written, to the path of `target`.
/// `None` if the result is not a URI.
pub(crate) fn onward(request: Request, base: &str, target: &Uri) -> Option<hyper::Request<Body>> {
    let (from, body) = request.into_parts();
    let rest = from.uri.path_and_query()?.as_str().strip_prefix(base)?;
    let slash = if rest.starts_with('/') { "" } else { "/" };
    let mut parts = target.clone().into_parts();
    parts.path_and_query = Some(format!("{}{slash}{rest}", target.path().trim_end_matches('/')).parse().ok()?);

    // A new request, so that nothing of the client's connection goes along: neither its version nor its extensions.
    let mut request = hyper::Request::new(body);
    *request.method_mut() = from.method;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.headers_mut() = end_to_end(from.headers);
    // The HTTP client sets this header from the URI to the name of the upstream.
    request.headers_mut().remove(HOST);
    let via = if from.version == Version::HTTP_10 { "1.0 gateway" } else { "1.1 gateway" };
    request.headers_mut().append(VIA, HeaderValue::from_static(via));
    Some(request)
}

/// The answer as the client gets it. It is cut off if a frame takes longer than `patience`.
pub(crate) fn back<B>(answer: hyper::Response<B>, patience: Duration) -> Response
where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let (mut from, body) = answer.into_parts();
    let body = Body::new(TimeoutBody::new(patience, body));
    let body = match from.extensions.remove() {
        Some(turns) => Body::new(Download { body, turns }),
        None => body,
    };
    let mut response = Response::new(body);
    *response.status_mut() = from.status;
    *response.headers_mut() = end_to_end(from.headers);
    response
}

/// Calls the upstream and waits for the head of its answer. The head may take as long as `head`, counted from the last
/// frame of the request. Each frame of the request may take as long as `upload`.
pub(crate) async fn call(
    client: Client,
    request: hyper::Request<Body>,
    head: Duration,
    upload: Duration,
) -> Result<hyper::Response<Incoming>, Fault> {
    let turn = watch::Sender::new(Turn::Upstream);
    let mut turns = turn.subscribe();
    let mut answer = pin!(client.request(request.map(|body| Upload { body, turn: turn.clone() })));
    loop {
        let (patience, late) = match *turns.borrow_and_update() {
            Turn::Upstream => (head, Fault::Late),
            Turn::Client => (upload, Fault::Unsent),
            Turn::Nobody => return Err(Fault::Unsent),
        };
        tokio::select! {
            // This branch comes first, because a broken request ends the call as well. `turn` is still alive here, so
            // `changed` never means that the sender is gone.
            biased;
            _ = turns.changed() => {}
            answer = &mut answer => {
                let mut answer = answer.map_err(Fault::Broken)?;
                answer.extensions_mut().insert(turns);
                return Ok(answer);
            }
            () = sleep(patience) => return Err(late),
        }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The upstream has everything that the client has sent so far.
    Upstream,
    /// The client still has to send a frame of its request.
    Client,
    /// The client has broken off its request.
    Nobody,
}

/// The body of a request. It publishes whose turn it is.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Body,
    turn: watch::Sender<Turn>,
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.turn.send_replace(match &polled {
            Poll::Pending => Turn::Client,
            Poll::Ready(Some(Err(_))) => Turn::Nobody,
            Poll::Ready(_) => Turn::Upstream,
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer. If the client breaks off its request, the connection to the upstream breaks as well. The
/// inner body is then dropped, as if the client had hung up, so that the upstream is not blamed.
struct Download {
    body: Body,
    turns: watch::Receiver<Turn>,
}

impl hyper::body::Body for Download {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The turn changes before the connection breaks, so this is seen before the inner body returns an error.
        if *self.turns.borrow() == Turn::Nobody {
            self.body = Body::empty();
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::ConnectionAborted)))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}
