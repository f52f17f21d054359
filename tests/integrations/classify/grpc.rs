use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use microbreaker::grpc::GrpcStatus;
use microbreaker::http::{AtEnd, ClassifyHead, HeadOutcome};
use microbreaker::{Config, FailureKind, OpenReason, Outcome, ReportKind, Settle, State};

use super::body::{Announces, Script, Step, poll, reported, script, watched};

const SERVER: Outcome = Outcome::Failure(FailureKind::Server);
const PROTOCOL: Outcome = Outcome::Failure(FailureKind::Protocol);

const CODES: [(i32, &str, Outcome); 17] = [
    (0, "OK", Outcome::Success),
    (1, "CANCELLED", Outcome::Ignored),
    (2, "UNKNOWN", SERVER),
    (3, "INVALID_ARGUMENT", Outcome::Alive),
    (4, "DEADLINE_EXCEEDED", Outcome::Failure(FailureKind::Timeout)),
    (5, "NOT_FOUND", Outcome::Alive),
    (6, "ALREADY_EXISTS", Outcome::Alive),
    (7, "PERMISSION_DENIED", Outcome::Alive),
    (8, "RESOURCE_EXHAUSTED", Outcome::Failure(FailureKind::RateLimited)),
    (9, "FAILED_PRECONDITION", Outcome::Alive),
    (10, "ABORTED", Outcome::Alive),
    (11, "OUT_OF_RANGE", Outcome::Alive),
    (12, "UNIMPLEMENTED", Outcome::Alive),
    (13, "INTERNAL", SERVER),
    (14, "UNAVAILABLE", SERVER),
    (15, "DATA_LOSS", SERVER),
    (16, "UNAUTHENTICATED", Outcome::Alive),
];

fn metadata<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.map(pair).into_iter().collect()
}

fn pushed(code: i32, pushback: &str) -> Outcome {
    GrpcStatus::of(code, &metadata([("grpc-retry-pushback-ms", pushback)]))
}

#[test]
fn every_code_is_what_its_table_says() {
    for (code, name, outcome) in CODES {
        assert_eq!(GrpcStatus::of(code, &HeaderMap::new()), outcome, "{name}");
    }
    for code in [i32::MIN, -1, 17, 18, 99, i32::MAX] {
        assert_eq!(GrpcStatus::of(code, &HeaderMap::new()), SERVER, "{code}");
    }
}

#[test]
fn a_failure_is_held_for_its_pushback_and_nothing_else_is() {
    for (code, name, outcome) in CODES.into_iter().chain([(17, "none", SERVER)]) {
        let failed = matches!(outcome, Outcome::Failure(_));
        let expected = if failed { Outcome::Hold(Duration::from_millis(1500)) } else { outcome };
        assert_eq!(pushed(code, "1500"), expected, "{name}");
        for silent in ["", "0", "-1", "-1500", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(pushed(code, silent), outcome, "{name}, {silent:?}");
        }
    }
}

/// What a whole call reports: at its head, and at the end of its body.
fn call(response: Response<Script>) -> (Option<ReportKind>, Option<ReportKind>) {
    let breaker = watched(Config::streak(9));
    let response = AtEnd(GrpcStatus).settle(breaker.acquire().unwrap(), response);
    let at_head = reported(&breaker);
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(Ok(_))) = poll(body.as_mut()) {}
    (at_head, reported(&breaker))
}

fn kind(outcome: Outcome) -> ReportKind {
    match outcome {
        Outcome::Success => ReportKind::Success,
        Outcome::Failure(kind) => ReportKind::Failure(kind),
        Outcome::Alive => ReportKind::Alive,
        Outcome::Ignored => ReportKind::Ignored,
        Outcome::Hold(_) => ReportKind::Hold,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_status_counts_from_the_trailers_or_from_a_head_without_any() {
    for (code, name, outcome) in CODES {
        let status = || metadata([("grpc-status", &code.to_string())]);
        let streamed = script([Step::Data, Step::Data, Step::Trailers(status())]);
        assert_eq!(call(streamed), (None, Some(kind(outcome))), "{name} in the trailers");
        let mut alone = script([]);
        *alone.headers_mut() = status();
        assert_eq!(call(alone), (Some(kind(outcome)), None), "{name} in the head");
    }
    let pushback = metadata([("grpc-status", "14"), ("grpc-retry-pushback-ms", "1500")]);
    assert_eq!(call(script([Step::Trailers(pushback)])), (None, Some(ReportKind::Hold)));
}

#[test]
fn an_end_without_a_status_is_a_failure() {
    let bare = |steps: Vec<Step>| call(script(steps));
    assert_eq!(bare(vec![Step::Data]), (None, Some(kind(PROTOCOL))), "no trailers");
    assert_eq!(bare(vec![Step::Trailers(HeaderMap::new())]), (None, Some(kind(PROTOCOL))), "trailers without one");
    for status in ["", "ok", "0x0", "99999999999"] {
        let trailers = metadata([("grpc-status", status)]);
        assert_eq!(bare(vec![Step::Trailers(trailers)]), (None, Some(kind(PROTOCOL))), "{status:?}");
    }
    assert_eq!(bare(vec![Step::Data, Step::Break]), (None, Some(ReportKind::Failure(FailureKind::Reset))));
    // This body knows before its first frame that it is over.
    let mut empty = script([]);
    empty.body_mut().announce(Announces::End);
    assert_eq!(call(empty), (Some(kind(PROTOCOL)), None));
}

#[test]
fn an_answer_of_known_length_is_judged_by_its_trailers_all_the_same() {
    for (code, expected) in [("0", ReportKind::Success), ("13", ReportKind::Failure(FailureKind::Server))] {
        let mut response = script([Step::Data, Step::Trailers(metadata([("grpc-status", code)]))]);
        response.body_mut().announce(Announces::Length);
        assert_eq!(call(response), (None, Some(expected)));
    }
    // If the client leaves before the trailers come, the call is cancelled.
    let breaker = watched(Config::streak(9));
    let mut response = script([Step::Data, Step::Wait]);
    response.body_mut().announce(Announces::Length);
    let mut body = Box::pin(AtEnd(GrpcStatus).settle(breaker.acquire().unwrap(), response).into_body());
    assert!(poll(body.as_mut()).is_ready());
    drop(body);
    assert_eq!(reported(&breaker), Some(ReportKind::Cancelled));
}

#[test]
fn what_something_on_the_way_answers_stands_for_a_code() {
    let table = [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14)];
    for status in (100..1000).filter(|&status| status != 200) {
        let code = table.iter().find(|row| row.0 == status).map_or(2, |row| row.1);
        let mut response = script([Step::Data]);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let expected = GrpcStatus::of(code, &HeaderMap::new());
        assert!(
            matches!(GrpcStatus.classify_head(&response), HeadOutcome::Settles(outcome) if outcome == expected),
            "{status}"
        );
        // If the answer has a gRPC status, that status counts.
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("5"));
        assert_eq!(call(response), (Some(ReportKind::Alive), None), "{status}");
    }
    for status in [429, 503] {
        let mut response = script([]);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("retry-after", HeaderValue::from_static("9"));
        assert_eq!(call(response), (Some(ReportKind::Hold), None));
    }
}

#[test]
fn an_error_in_place_of_a_response_is_a_failure() {
    let breaker = watched(Config::streak(9));
    let gone = || Err::<Response<Script>, _>("gone");
    assert!(AtEnd(GrpcStatus).settle(breaker.acquire().unwrap(), gone()).is_err());
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Other)));
    let refused = GrpcStatus.errors(|_: &&str| Outcome::Failure(FailureKind::Refused));
    assert!(AtEnd(refused).settle(breaker.acquire().unwrap(), gone()).is_err());
    assert_eq!(reported(&breaker), Some(ReportKind::Failure(FailureKind::Refused)));
    let ok = Ok::<_, &str>(script([Step::Trailers(metadata([("grpc-status", "0")]))]));
    let mut body = pin!(AtEnd(refused).settle(breaker.acquire().unwrap(), ok).unwrap().into_body());
    assert!(poll(body.as_mut()).is_ready());
    assert_eq!(reported(&breaker), Some(ReportKind::Success));
}

#[test]
fn fault_22_a_grpc_stream_that_ends_badly_behind_a_good_head_opens() {
    let breaker = watched(Config::streak(3));
    let statuses = [Some("14"), None, Some("13")];
    for status in statuses {
        assert_eq!(breaker.state(), State::Closed);
        let trailers = status.map(|status| Step::Trailers(metadata([("grpc-status", status)])));
        let steps: Vec<_> = [Step::Data].into_iter().chain(trailers).collect();
        let mut body = pin!(AtEnd(GrpcStatus).settle(breaker.acquire().unwrap(), script(steps)).into_body());
        while let Poll::Ready(Some(Ok(_))) = poll(body.as_mut()) {}
        assert!(matches!(reported(&breaker), Some(ReportKind::Failure(_))));
    }
    assert_eq!(breaker.status().reason, Some(OpenReason::Failures));
}
