//! Passing calls on: what reaches the upstream, what comes back, and whose fault a call is that ends badly.

use super::*;

#[tokio::test]
async fn a_request_reaches_the_upstream_as_it_was_written() {
    let upstream = mirror().await;
    let gateway = Running::start(plan(upstream.clone())).await;
    for (path, is) in [
        ("/upstream/a%2Fb%20c%3Fd?q=%26&r", "/a%2Fb%20c%3Fd?q=%26&r"),
        ("/upstream/", "/"),
        ("/upstream", "/"),
        ("/upstream?q", "/?q"),
        ("/upstream//x/../y", "//x/../y"),
    ] {
        let (status, _, text) = gateway.get(path).await;
        assert_eq!((status, text.lines().next()), (StatusCode::OK, Some(&*format!("GET {is}"))), "{path}");
    }
    // The upstream's URL has a path: requests go below it.
    let below: Uri = format!("{upstream}base/").parse().unwrap();
    let gateway = Running::start(plan(below)).await;
    assert!(gateway.get("/upstream/x").await.2.starts_with("GET /base/x\n"));
    let with_query = Gateway::bind(plan(format!("{upstream}?q").parse().unwrap())).await;
    assert!(with_query.is_err_and(|error| error.to_string().contains("query")));
}

#[tokio::test]
async fn headers_of_a_connection_stay_on_it() {
    let upstream = mirror().await;
    let host = upstream.authority().unwrap().to_string();
    let gateway = Running::start(plan(upstream)).await;
    let request = hyper::Request::post(gateway.uri("/upstream/x"))
        .header("connection", "close, x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("upgrade", "websocket")
        .header("proxy-authorization", "Basic c2VjcmV0")
        .header("x-end", "2")
        .header("via", "1.1 other");
    let response = in_time(client().request(request.body(Full::from("the body")).unwrap())).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(in_time(body.collect()).await.unwrap().to_bytes().to_vec()).unwrap();

    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.remove(0), lines.pop()), ("POST /x", Some("the body")));
    lines.sort_unstable();
    let host = format!("host: {host}");
    assert_eq!(lines, ["", "content-length: 8", &host, "via: 1.1 gateway", "via: 1.1 other", "x-end: 2"]);
    assert_eq!(head.headers["x-own"], "kept");
    for own in ["x-private", "keep-alive"] {
        assert!(!head.headers.contains_key(own), "{own}");
    }
    assert!(head.headers.get("connection").is_none_or(|value| value == "close"), "{:?}", head.headers);
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let gateway = Running::start(plan(local(listener.local_addr().unwrap()))).await;
    let mut down = TcpStream::connect(gateway.address).await.unwrap();
    down.write_all(b"POST /upstream/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await
        .unwrap();
    let (mut up, _) = in_time(listener.accept()).await.unwrap();
    // The first part arrives before the rest is sent, in both directions.
    in_time(read_until(&mut up, "3\r\none\r\n")).await;
    down.write_all(b"3\r\ntwo\r\n").await.unwrap();
    in_time(read_until(&mut up, "3\r\ntwo\r\n")).await;
    up.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nback\r\n").await.unwrap();
    in_time(read_until(&mut down, "4\r\nback\r\n")).await;
    down.write_all(b"0\r\n\r\n").await.unwrap();
    in_time(read_until(&mut up, "0\r\n\r\n")).await;
    assert_eq!(gateway.ended("success").await, 0);
    up.write_all(b"0\r\n\r\n").await.unwrap();
    in_time(read_until(&mut down, "0\r\n\r\n")).await;
    until(async || gateway.ended("success").await == 1).await;
}

/// Reads until the text that was read ends in `end`.
async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
}

#[tokio::test]
async fn a_stream_that_dies_in_the_middle_opens_the_circuit() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Some(settings_in(directory.path(), TOUCHY));
    let gateway = Running::start(Plan { settings, ..plan(says(HALF, true).await) }).await;
    let response = gateway.ask(Method::GET, "/upstream/x").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(in_time(response.into_body().collect()).await.is_err());
    until(async || gateway.state().await == "open").await;
    assert_eq!((gateway.ended("failure").await, gateway.ended("success").await), (1, 0));
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_neutral() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Some(settings_in(directory.path(), TOUCHY));
    let gateway = Running::start(Plan { settings, ..plan(says(HALF, false).await) }).await;
    let mut body = gateway.ask(Method::GET, "/upstream/x").await.into_body();
    assert!(in_time(body.frame()).await.unwrap().is_ok());
    drop(body);
    until(async || gateway.ended("cancelled").await == 1).await;

    // The client may also hang up in the middle of its request: before there is an answer, and after.
    for (upstream, answered) in [(says("", false).await, ""), (says(HALF, false).await, "half of it")] {
        let settings = Some(settings_in(directory.path(), TOUCHY));
        let gateway = Running::start(Plan { settings, ..plan(upstream) }).await;
        let mut half = TcpStream::connect(gateway.address).await.unwrap();
        half.write_all(b"POST /upstream/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
        in_time(read_until(&mut half, answered)).await;
        drop(half);
        let neutral = async || gateway.ended("cancelled").await + gateway.ended("ignored").await;
        until(async || neutral().await == 1 || gateway.ended("failure").await > 0).await;
        assert_eq!((gateway.ended("failure").await, &*gateway.state().await), (0, "closed"));
    }
}

#[tokio::test]
async fn who_keeps_whom_waiting_is_told_apart() {
    let short = Duration::from_millis(300);
    let patience = Patience { head: short, ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says("", false).await) }).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(gateway.ended("failure").await, 1);

    let patience = Patience { upload: short, ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says("", false).await) }).await;
    let mut half = TcpStream::connect(gateway.address).await.unwrap();
    half.write_all(b"POST /upstream/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
    let mut line = String::new();
    in_time(BufReader::new(&mut half).read_line(&mut line)).await.unwrap();
    assert_eq!(line, "HTTP/1.1 408 Request Timeout\r\n");
    assert_eq!((gateway.ended("failure").await, gateway.ended("ignored").await), (0, 1));

    // A stalled answer is cut off. It counts against the upstream.
    let patience = Patience { stall: short / 2, frame: short, ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says(HALF, false).await) }).await;
    let response = gateway.ask(Method::GET, "/upstream/x").await;
    assert!(in_time(response.into_body().collect()).await.is_err());
    until(async || gateway.ended("failure").await == 1).await;

    // Nobody listens there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let gateway = Running::start(plan(local(nobody.local_addr().unwrap()))).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::BAD_GATEWAY);
    assert_eq!(gateway.ended("failure").await, 1);
}

#[tokio::test]
async fn an_open_circuit_says_when_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::touchy(&server, directory.path()).await;
    assert_eq!(gateway.get("/upstream/x").await.2, "ok\n");
    assert_eq!(gateway.status("/health").await, StatusCode::OK);

    server.set(Mood::Fails).await.unwrap();
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(gateway.state().await, "open");
    let (status, headers, text) = gateway.get("/upstream/x").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let left = gateway.upstream().await["retry_in_ms"].as_u64().unwrap();
    // It is rounded up, so it is not before the end of the time that is left.
    let seconds: u64 = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(seconds * 1000 >= left && seconds <= 91, "{seconds} s, {left} ms; {text}");
    // There is no other dependency to call.
    assert_eq!(gateway.status("/health").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.sample("rejected_total{name=\"upstream\"}").await, 1);
}

#[test]
fn retry_after_is_whole_seconds_rounded_up() {
    let config = Config::streak(1).open_for(Duration::from_millis(1500)).jitter(false);
    let breaker: Breaker<Streak, _> = Breaker::new(config, ManualClock::new());
    let says = || {
        let rejected = breaker.acquire().expect_err("it is open");
        let answer = unavailable(&rejected);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned())
    };
    breaker.acquire().unwrap().failure();
    // There are 1024 ticks a second. What is left: 1.5 s, one second and a tick, one second, one tick.
    for (passes, left) in [(0, "2"), (511, "2"), (1, "1"), (1023, "1")] {
        breaker.clock().advance_ticks(passes);
        assert_eq!(says().as_deref(), Some(left), "{passes}");
    }
    breaker.latch();
    assert_eq!(says(), None);
}
