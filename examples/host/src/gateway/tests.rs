//! The gateway over real connections: in front of the server of the main job, or of one made for a test.

mod dependency;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use axum::routing::any;
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use microbreaker::{Breaker, ManualClock, State, States, Streak};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::upstream::{self, Mood, STREAM};

/// Nothing takes that long; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// So much that no busy machine exceeds it.
const PATIENT: Patience =
    Patience { head: DEADLINE, upload: DEADLINE, stall: DEADLINE, frame: DEADLINE, drain: DEADLINE };

/// One failure opens it, for as long as a test takes.
const TOUCHY: &str = "minimum = 1\nfailure_permille = 1\nopen_for = \"90s\"\nopen_at_most = \"90s\"\njitter = false\n";

/// A gateway that serves.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<io::Result<Vec<Reading>>>,
}

impl Running {
    async fn start(plan: Plan) -> Self {
        let gateway = Gateway::bind(plan).await.unwrap();
        let address = gateway.address();
        let (stop, mut stopped) = watch::channel(false);
        let serving = tokio::spawn(gateway.serve(async move { drop(stopped.wait_for(|stopped| *stopped).await) }));
        Self { address, stop, serving }
    }

    /// In front of the server of the main job, with these settings of its breaker.
    async fn touchy(upstream: &upstream::Upstream, directory: &Path) -> Self {
        Self::start(Plan { settings: Some(settings_in(directory, TOUCHY)), ..plan(upstream.uri()) }).await
    }

    fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    async fn ask(&self, method: Method, path: &str) -> hyper::Response<Incoming> {
        let mut request = hyper::Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = self.uri(path);
        in_time(client().request(request)).await.unwrap()
    }

    /// Status, headers and the whole body.
    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let (head, body) = self.ask(Method::GET, path).await.into_parts();
        let body = in_time(body.collect()).await.unwrap().to_bytes();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.get(path).await.0
    }

    async fn put(&self, path: &str) -> StatusCode {
        self.ask(Method::PUT, path).await.status()
    }

    /// What `/health` says of the upstream's breaker.
    async fn upstream(&self) -> Value {
        let (_, _, body) = self.get("/health").await;
        serde_json::from_str::<Value>(&body).unwrap()["breakers"][0].take()
    }

    async fn state(&self) -> String {
        self.upstream().await["state"].as_str().unwrap().to_owned()
    }

    /// A sample of `/metrics`.
    async fn sample(&self, series: &str) -> u64 {
        let (_, _, page) = self.get("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix("circuit_breaker_")?.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).trim().parse().unwrap()
    }

    /// How many calls of the upstream ended so.
    async fn ended(&self, outcome: &str) -> u64 {
        self.sample(&format!("calls_total{{name=\"upstream\",outcome=\"{outcome}\"}}")).await
    }

    async fn stop(self) -> Vec<Reading> {
        let _ = self.stop.send(true);
        in_time(self.serving).await.unwrap().unwrap()
    }
}

fn plan(upstream: Uri) -> Plan {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Plan { listen, upstream, backends: Backends::default(), settings: None, state: None, patience: PATIENT }
}

fn settings_in(directory: &Path, upstream: &str) -> PathBuf {
    let file = directory.join("settings.toml");
    fs::write(&file, format!("[upstream]\n{upstream}")).unwrap();
    file
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes no time at all")
}

/// Until `condition` holds.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http()
}

fn local(address: SocketAddr) -> Uri {
    format!("http://{address}/").parse().unwrap()
}

/// An upstream that reads a request's head and says `answer`; it then hangs up, or holds the line.
async fn says(answer: &'static str, hangs_up: bool) -> Uri {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = local(listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            if hangs_up {
                stream.shutdown().await.unwrap();
            } else {
                held.push(stream);
            }
        }
    });
    uri
}

/// Announces more than it sends.
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";

/// An upstream that answers with what it was asked.
async fn mirror() -> Uri {
    let asked = async |request: Request| {
        let (head, body) = request.into_parts();
        let headers: Vec<String> =
            head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let body = body.collect().await.unwrap().to_bytes();
        let text =
            format!("{} {}\n{}\n\n{}", head.method, head.uri, headers.join("\n"), String::from_utf8_lossy(&body));
        let own = [("connection", "x-private"), ("x-private", "1"), ("keep-alive", "timeout=5"), ("x-own", "kept")];
        (own, text)
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let uri = local(listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, axum::Router::new().fallback(any(asked))).into_future());
    uri
}

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
    // Below the path that it was given.
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
    // What was sent is there before the rest is; and so back.
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

/// Reads until what was read ends in `end`.
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

    // In the middle of its request, too: before there is an answer, and after.
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

    // A stalled answer is cut off, and is the upstream's fault.
    let patience = Patience { stall: short / 2, frame: short, ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says(HALF, false).await) }).await;
    let response = gateway.ask(Method::GET, "/upstream/x").await;
    assert!(in_time(response.into_body().collect()).await.is_err());
    until(async || gateway.ended("failure").await == 1).await;

    // Nobody there.
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
    // Rounded up: later than what is left after it was said.
    let seconds: u64 = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(seconds * 1000 >= left && seconds <= 91, "{seconds} s, {left} ms; {text}");
    // Nothing else to call.
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
    // Ticks of 1024 a second: a second and one, a second, one.
    for (passes, left) in [(0, "2"), (511, "2"), (1, "1"), (1023, "1")] {
        breaker.clock().advance_ticks(passes);
        assert_eq!(says().as_deref(), Some(left), "{passes}");
    }
    breaker.latch();
    assert_eq!(says(), None);
}

#[tokio::test]
async fn one_dead_dependency_of_several_degrades() {
    let server = upstream::Upstream::start(1).await.unwrap();
    // Ours but not listened at, so that nobody else answers there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let nobody = nobody.local_addr().unwrap();
    let backends =
        Backends { postgres: Some(format!("postgres://p@{nobody}/d")), redis: Some(format!("redis://{nobody}")) };
    let gateway = Running::start(Plan { backends, ..plan(server.uri()) }).await;
    until(async || {
        let (status, _, body) = gateway.get("/time").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status, &body["time"], &body["served_by"]),
            (StatusCode::OK, &"unknown".into(), &"degraded".into())
        );
        body["because"].as_str().unwrap().contains("open circuit breaker")
    })
    .await;
    let (status, _, body) = gateway.get("/health").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"]), (StatusCode::OK, &"degraded".into()));
    let names: Vec<&str> =
        body["breakers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["upstream", "database", "cache"]);
    let alone = Running::start(plan(server.uri())).await;
    assert_eq!(alone.status("/time").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_switch_is_thrown_by_hand() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    for (mode, state, shadow, answers) in [
        ("open", "forced_open", false, StatusCode::SERVICE_UNAVAILABLE),
        ("off", "disabled", false, StatusCode::OK),
        ("shadow", "closed", true, StatusCode::OK),
        ("on", "closed", false, StatusCode::OK),
    ] {
        assert_eq!(gateway.put(&format!("/breakers/upstream/{mode}")).await, StatusCode::NO_CONTENT);
        let now = gateway.upstream().await;
        assert_eq!((&now["state"], &now["shadow"]), (&state.into(), &shadow.into()), "{mode}");
        let (status, headers, _) = gateway.get("/upstream/x").await;
        assert_eq!(status, answers, "{mode}");
        // Time alone does not end it.
        assert!(!headers.contains_key(RETRY_AFTER), "{mode}");
    }
    assert_eq!(gateway.put("/breakers/upstream/half").await, StatusCode::BAD_REQUEST);
    assert_eq!(gateway.put("/breakers/database/on").await, StatusCode::NOT_FOUND);
    assert_eq!(gateway.status("/breakers/upstream/on").await, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_page_is_told_all_that_it_shows() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::touchy(&server, directory.path()).await;
    let (status, headers, page) = gateway.get("/").await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "text/html; charset=utf-8"));
    let response = gateway.ask(Method::GET, "/events").await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    let mut frames = BodyStream::new(response.into_body());
    let mut frame = async || {
        let data = in_time(frames.next()).await.unwrap().unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&data).unwrap().strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
        serde_json::from_str::<Value>(text).unwrap()
    };
    // At once, not after half a second.
    let first = frame().await;
    assert_eq!(first["health"]["breakers"][0]["state"], "closed");
    server.set(Mood::Fails).await.unwrap();
    gateway.status("/upstream/x").await;
    let last = in_time(async {
        loop {
            let last = frame().await;
            if last["moves"].as_array().is_some_and(|moves| !moves.is_empty()) {
                return last;
            }
        }
    })
    .await;
    let moved = &last["moves"][0];
    for (field, is) in [("name", "upstream"), ("from", "closed"), ("to", "open"), ("reason", "failures")] {
        assert_eq!(moved[field], is);
    }
    assert_eq!((&moved["failed"], &moved["total"]), (&1.into(), &1.into()));
    assert!(moved["at_ms"].as_u64().unwrap() <= last["now_ms"].as_u64().unwrap());

    // Whatever the script of the page takes out of a frame is in it.
    let used = |object: &str| {
        let found = page.split(object).skip(1);
        let names: Vec<String> = found
            .map(|after| after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
            .collect();
        assert!(!names.is_empty(), "{object}");
        names
    };
    for (object, of) in [
        ("one.", &last["health"]["breakers"][0]),
        ("one.window.", &last["health"]["breakers"][0]["window"]),
        ("seen.", &last["rates"][0]),
        ("move.", moved),
    ] {
        for name in used(object) {
            assert!(of.get(&name).is_some(), "{object}{name} of {last}");
        }
    }
    let taken = page.split_once("function show({").unwrap().1.split_once("})").unwrap().0;
    for name in taken.split(',') {
        assert!(last.get(name.trim()).is_some(), "{name} of {last}");
    }
}

#[tokio::test]
async fn metrics_are_those_that_operators_were_given() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::OK);
    until(async || gateway.ended("success").await == 1).await;
    let (status, headers, page) = gateway.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(page.ends_with("# EOF\n"), "{page}");
    let mut names = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        assert!(
            value.parse::<f64>().is_ok() && labels.contains("name=\"upstream\"") && labels.ends_with('}'),
            "{line}"
        );
        names.push(name);
    }
    // Of registries, and the gateway has none.
    names.push("circuit_breaker_members");
    for given in [include_str!("../../ops/dashboard.json"), include_str!("../../ops/alerts.yml")] {
        let mut used = given.split("circuit_breaker_").skip(1).map(|after| {
            let end = after.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap();
            format!("circuit_breaker_{}", &after[..end])
        });
        assert!(used.clone().count() > 3);
        assert_eq!(used.find(|used| !names.contains(&&**used)), None);
    }
}

#[tokio::test]
async fn settings_are_taken_over_live_and_others_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    server.set(Mood::Fails).await.unwrap();
    let file = settings_in(directory.path(), "minimum = 100\n");
    let gateway = Running::start(Plan { settings: Some(file.clone()), ..plan(server.uri()) }).await;
    for _ in 0..3 {
        assert_eq!(gateway.status("/upstream/x").await, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(gateway.state().await, "closed");
    // The mode comes after the rest, so that who sees it has seen all.
    settings_in(directory.path(), &format!("{TOUCHY}mode = \"shadow\"\n"));
    until(async || gateway.upstream().await["shadow"] == true).await;
    assert_eq!(gateway.status("/upstream/x").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(gateway.state().await, "open");
    // What cannot be at the start is an error that says where.
    for (wrong, says) in [("probes = 16", "probes"), ("open_fro = \"1s\"", "open_fro"), ("[mail]", "\"mail\"")] {
        let settings = Some(settings_in(directory.path(), wrong));
        let error = Gateway::bind(Plan { settings, ..plan(server.uri()) }).await.err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let server = upstream::Upstream::start(1).await.unwrap();
    let touchy = || Plan {
        settings: Some(settings_in(directory.path(), TOUCHY)),
        state: Some(directory.path().join("state")),
        ..plan(server.uri())
    };
    let gateway = Running::start(touchy()).await;
    server.set(Mood::Fails).await.unwrap();
    gateway.status("/upstream/x").await;
    let readings = gateway.stop().await;
    assert_eq!((readings[0].failure, readings[0].states), (1, States::One(State::Open)));

    let gateway = Running::start(touchy()).await;
    assert_eq!(gateway.state().await, "open");
    let (status, headers, _) = gateway.get("/upstream/x").await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER));
    // One that crashes now leaves nothing, and what was before comes back to none.
    let after_a_crash = Running::start(touchy()).await;
    assert_eq!(after_a_crash.state().await, "closed");
    gateway.stop().await;

    // What the settings say of the switch goes above that, and a snapshot that is none is no reason not to start.
    let file = settings_in(directory.path(), "mode = \"open\"");
    let switched = Running::start(Plan { settings: Some(file), ..touchy_in(&directory, server.uri()) }).await;
    assert_eq!(switched.state().await, "forced_open");
    fs::write(directory.path().join("state/upstream.snapshot"), "rubbish").unwrap();
    assert_eq!(Running::start(touchy()).await.state().await, "closed");
}

fn touchy_in(directory: &tempfile::TempDir, upstream: Uri) -> Plan {
    Plan { state: Some(directory.path().join("state")), ..plan(upstream) }
}

#[tokio::test]
async fn shutdown_waits_for_answers_and_not_for_watchers() {
    let server = upstream::Upstream::start(1).await.unwrap();
    let gateway = Running::start(plan(server.uri())).await;
    let mut watching = gateway.ask(Method::GET, "/events").await.into_body();
    assert!(in_time(watching.frame()).await.unwrap().is_ok());
    let answer = gateway.ask(Method::GET, &format!("/upstream{STREAM}")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // It drains for as long as this test may take; so it ends because all is over.
    let (readings, lines, watched) = tokio::join!(gateway.stop(), answer.into_body().collect(), watching.collect());
    assert!(watched.is_ok());
    assert!(lines.unwrap().to_bytes().ends_with(b"line 8 of 8\n"));
    assert_eq!(readings[0].success, 1);

    // An answer that does not end is not waited for longer than that.
    let patience = Patience { drain: Duration::from_millis(50), ..PATIENT };
    let gateway = Running::start(Plan { patience, ..plan(says(HALF, false).await) }).await;
    let _held = gateway.ask(Method::GET, "/upstream/x").await;
    gateway.stop().await;
}
