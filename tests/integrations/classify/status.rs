use std::convert::Infallible;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use microbreaker::http::HttpStatus;
use microbreaker::io::IoError;
use microbreaker::{Breaker, Classify, Config, FailureKind, ManualClock, Outcome, State, Streak};

/// The rows of the table that differ from the rule of their hundred.
const APART: [(u16, Outcome); 15] = [
    (429, Outcome::Failure(FailureKind::RateLimited)),
    (529, Outcome::Failure(FailureKind::RateLimited)),
    (504, Outcome::Failure(FailureKind::Timeout)),
    (522, Outcome::Failure(FailureKind::Timeout)),
    (524, Outcome::Failure(FailureKind::Timeout)),
    (598, Outcome::Failure(FailureKind::Timeout)),
    (599, Outcome::Failure(FailureKind::Timeout)),
    (511, Outcome::Failure(FailureKind::Refused)),
    (521, Outcome::Failure(FailureKind::Refused)),
    (523, Outcome::Failure(FailureKind::Refused)),
    (525, Outcome::Failure(FailureKind::Protocol)),
    (526, Outcome::Failure(FailureKind::Protocol)),
    (501, Outcome::Alive),
    (505, Outcome::Alive),
    (510, Outcome::Alive),
];

#[test]
fn every_status_is_what_its_table_says() {
    for code in 100..1000 {
        let rule = match code / 100 {
            1..=3 => Outcome::Success,
            4 => Outcome::Alive,
            5 => Outcome::Failure(FailureKind::Server),
            _ => Outcome::Failure(FailureKind::Protocol),
        };
        let expected = APART.iter().find(|row| row.0 == code).map_or(rule, |row| row.1);
        let status = StatusCode::from_u16(code).unwrap();
        assert_eq!(HttpStatus.classify(&status), expected, "{code}");
        let response = Response::builder().status(code).body("whatever").unwrap();
        assert_eq!(HttpStatus.classify(&response), expected, "{code}");
        assert_eq!(HttpStatus.classify(&Ok::<_, Infallible>(response)), expected, "{code}");
    }
}

#[test]
fn an_error_in_place_of_a_response_is_a_failure() {
    let failed: Result<Response<()>, _> = Err(io::Error::from(io::ErrorKind::TimedOut));
    assert_eq!(HttpStatus.classify(&failed), Outcome::Failure(FailureKind::Other));
    let classify = HttpStatus.errors(IoError::of);
    assert_eq!(classify.classify(&failed), Outcome::Failure(FailureKind::Timeout));
    assert_eq!(classify.classify(&Ok(Response::new(()))), Outcome::Success);
}

/// 1994-11-06 08:49:37, the date of RFC 9110 §5.6.7.
const NOW: u64 = 784_111_777;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn outcome(code: u16, values: &[&str]) -> Outcome {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(RETRY_AFTER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    HttpStatus::of_at(StatusCode::from_u16(code).unwrap(), &headers, now)
}

fn hold(seconds: u64) -> Outcome {
    Outcome::Hold(Duration::from_secs(seconds))
}

#[test]
fn retry_after_holds_for_its_seconds_or_until_its_date() {
    for code in [429, 503, 529] {
        for (value, seconds) in [
            ("1", 1),
            ("120", 120),
            ("007", 7),
            ("99999999999999999999", u64::MAX),
            ("Sun, 06 Nov 1994 08:49:38 GMT", 1),
            ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
            ("Sunday, 06-Nov-94 08:51:37 GMT", 120),
            ("Sun Nov  6 08:51:37 1994", 120),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 - NOW),
        ] {
            assert_eq!(outcome(code, &[value]), hold(seconds), "{code}, {value:?}");
        }
        assert_eq!(outcome(code, &["1", "30", "Sun, 06 Nov 1994 08:49:47 GMT"]), hold(30), "the longest");
        assert_eq!(outcome(code, &["soon", "30"]), hold(30));
    }
}

#[test]
fn a_retry_after_that_says_no_time_leaves_the_status_to_count() {
    for (code, kind) in [(429, FailureKind::RateLimited), (529, FailureKind::RateLimited), (503, FailureKind::Server)] {
        for value in [
            "",
            "0",
            "-1",
            "+1",
            "1.5",
            "1s",
            "soon",
            "\u{fc}",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Sun, 06 Nov 1994 08:49:38 CET",
            "Sun, 31 Feb 2094 08:49:38 GMT",
            "Thu, 01 Jan 0001 00:00:00 GMT",
        ] {
            assert_eq!(outcome(code, &[value]), Outcome::Failure(kind), "{code}, {value:?}");
        }
    }
}

#[test]
fn only_who_sheds_load_says_when_to_come_back() {
    for code in (100..1000).filter(|code| ![429, 503, 529].contains(code)) {
        assert_eq!(outcome(code, &["120"]), outcome(code, &[]), "{code}");
    }
}

#[test]
fn the_wall_clock_is_read_for_dates_only() {
    let unread = || -> SystemTime { unreachable!("read") };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let headers = |value| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
    assert_eq!(HttpStatus::of_at(status, &headers("5"), unread), hold(5));
    assert_eq!(HttpStatus::of_at(status, &HeaderMap::new(), unread), Outcome::Failure(FailureKind::Server));
    assert_eq!(HttpStatus::of_at(StatusCode::OK, &headers("Sun, 06 Nov 1994 08:49:38 GMT"), unread), Outcome::Success);
    // With the real wall clock: a date in the past, and one in the far future.
    assert_eq!(
        HttpStatus::of(status, &headers("Sun, 06 Nov 1994 08:49:38 GMT")),
        Outcome::Failure(FailureKind::Server)
    );
    let Outcome::Hold(time) = HttpStatus::of(status, &headers("Fri, 31 Dec 9999 23:59:59 GMT")) else {
        panic!("no hold")
    };
    assert!(time > Duration::from_secs(200_000_000_000));
}

/// Makes a call whose answer has this status.
fn ask(breaker: &Breaker<Streak, ManualClock>, code: u16) {
    let answer = Response::builder().status(code).body(()).unwrap();
    assert!(breaker.call_with(&HttpStatus, || Ok::<_, Infallible>(answer)).is_ok());
}

#[test]
fn fault_19_a_client_error_resets_the_failure_streak() {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(3), ManualClock::new());
    for code in [500, 502, 400, 404, 422] {
        ask(&breaker, code);
    }
    assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 2), "a 4xx is no success");
    ask(&breaker, 503);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn fault_19_the_client_errors_of_one_open_the_circuit_for_all() {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    for code in (400..500).filter(|&code| code != 429) {
        ask(&breaker, code);
        assert_eq!(breaker.state(), State::Closed, "{code}");
    }
}
