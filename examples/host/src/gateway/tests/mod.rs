//! The gateway over real connections, in front of the server of the main job or of a server made for a test.

mod dependency;
mod operation;
mod proxy;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use axum::routing::any;
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method};
use microbreaker::metrics::States;
use microbreaker::{Breaker, ManualClock, State, Streak};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::upstream::{self, Mood, STREAM};

/// Nothing takes that long. A test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// Limits so long that no busy machine exceeds them.
const PATIENT: Patience =
    Patience { head: DEADLINE, upload: DEADLINE, stall: DEADLINE, frame: DEADLINE, drain: DEADLINE };

/// Settings by which one failure opens the circuit for longer than a test takes.
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

    /// A gateway in front of the server of the main job, with the settings [`TOUCHY`].
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

    /// What `/health` says about the upstream's breaker.
    async fn upstream(&self) -> Value {
        let (_, _, body) = self.get("/health").await;
        serde_json::from_str::<Value>(&body).unwrap()["breakers"][0].take()
    }

    async fn state(&self) -> String {
        self.upstream().await["state"].as_str().unwrap().to_owned()
    }

    /// The value of a series on `/metrics`.
    async fn sample(&self, series: &str) -> u64 {
        let (_, _, page) = self.get("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix("circuit_breaker_")?.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in {page}")).trim().parse().unwrap()
    }

    /// How many calls of the upstream ended with this outcome.
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
    timeout(DEADLINE, future).await.expect("this takes no time at all")
}

/// Waits until `condition` holds.
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

/// An upstream that reads the head of a request and sends `answer`. It then hangs up or keeps the connection.
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

/// An answer that announces more than it sends.
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";

/// An upstream that answers with the request that it got.
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
