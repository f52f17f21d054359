//! One axum echo, bare and behind different layers.

use std::fmt::Write as _;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{Route, post};
use microbreaker::http::HttpStatus;
use microbreaker::tower::BreakerLayer;
use microbreaker::{Observer, Rejected};
use tower::ServiceExt;
use tower::layer::layer_fn;

use crate::breakers::{Hold, in_arc, in_static, metered};
use crate::{Allocations, heap};

pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) router: Router,
    /// Whether it must allocate no more than the variant with a layer that does nothing.
    guarded: bool,
}

/// The indices in [`variants`] of the variants that others are compared with.
pub(crate) const BARE: usize = 0;
pub(crate) const NO_OP: usize = 2;
/// The index of the variant that counts its calls.
pub(crate) const METERED: usize = 5;

/// The variants of the echo. The bare echo is there twice: the distance between the two shows how far a figure can be
/// trusted. One variant has a layer that does nothing, because axum itself boxes things for any layer: for each request
/// it clones the layer, layers the route again, and boxes both and the future. That layer has a size, as layers that
/// hold a breaker have, because a box of zero bytes does not allocate.
pub(crate) fn variants() -> Vec<Variant> {
    let plain = |name, router| Variant { name, router, guarded: false };
    let guarded = |name, router| Variant { name, router, guarded: true };
    let size = black_box(1_usize);
    let nothing = layer_fn(move |inner: Route| {
        black_box(size);
        inner
    });
    vec![
        plain("bare", routes()),
        plain("bare, again", routes()),
        plain("a layer that does nothing", routes().layer(nothing)),
        guarded("`&'static`", behind(&in_static())),
        guarded("`Arc`", behind(&in_arc())),
        guarded("`&'static`, timed `Meter`", behind(&metered())),
    ]
}

fn routes() -> Router {
    Router::new().route("/", post(async |body: Bytes| body))
}

fn behind<H: Hold<O>, O: Observer + 'static>(holder: &H) -> Router {
    let layer = BreakerLayer::new(holder.clone()).classify(HttpStatus).answer(unavailable);
    let router = routes().layer(layer);
    // Checks that the router really asks this breaker.
    holder.latch();
    assert_eq!(ask(&router).status(), StatusCode::SERVICE_UNAVAILABLE);
    holder.reset();
    assert_eq!(ask(&router).status(), StatusCode::OK);
    router
}

/// A 503 with the time to come back, in whole seconds.
fn unavailable(rejected: Rejected) -> Response {
    let seconds = rejected.retry_in().map_or(3600, |time| time.as_millis().div_ceil(1000));
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, seconds.to_string())]).into_response()
}

/// Makes a request without a network. As a connection does, it uses a router of its own.
fn ask(router: &Router) -> Response {
    let request = Request::post("/").body(Body::from("echo")).expect("it is one");
    let Poll::Ready(response) = pin!(router.clone().oneshot(request)).poll(&mut Context::from_waker(Waker::noop()))
    else {
        unreachable!("the body is there, and the answer is it");
    };
    response.unwrap_or_else(|never| match never {})
}

/// Counts the allocations of requests, including those that make the request: the router's, axum's boxes and the
/// layer's.
pub(crate) fn allocations(variants: &[Variant]) -> Allocations {
    const CALLS: u64 = 1000;
    let count = |variant: &Variant| {
        heap::count(|| (0..CALLS).for_each(|_| assert_eq!(ask(&variant.router).status(), StatusCode::OK))).1.allocations
    };
    let counts: Vec<u64> = variants.iter().map(count).collect();
    let mut table = format!("Allocations of {CALLS} requests through axum's router:\n\n| | |\n| --- | --: |\n");
    for (variant, count) in variants.iter().zip(&counts) {
        let _ = writeln!(table, "| {} | {count} |", variant.name);
    }
    let guarded = || variants.iter().zip(&counts).filter(|(variant, _)| variant.guarded);
    Allocations {
        table,
        calls: CALLS * guarded().count() as u64,
        added: guarded().map(|(_, count)| count.saturating_sub(counts[NO_OP])).sum(),
    }
}
