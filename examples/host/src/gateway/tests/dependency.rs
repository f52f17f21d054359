//! The clients of the database and of the cache: what happens to their connections, and what their errors say. They
//! call servers on loopback that speak just enough of the protocol.

use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::{PoolError, TimeoutType};
use microbreaker::{FailureKind, Outcome};
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio_postgres::NoTls;

use super::*;
use crate::gateway::dependency::{Fault, PATIENCE};

/// A server whose connections can fall silent: it then answers nothing on them and closes none of them.
struct Fake {
    address: SocketAddr,
    /// How many connections there were so far.
    made: Arc<AtomicUsize>,
    /// Connections before this number are silent. They send their overdue answers when they no longer are.
    silent: watch::Sender<usize>,
    /// How many commands were heard so far, answered or not.
    heard: watch::Receiver<usize>,
}

/// A connection of a [`Fake`], as the server sees it.
struct Line {
    stream: BufReader<TcpStream>,
    number: usize,
    silent: watch::Receiver<usize>,
    heard: Arc<watch::Sender<usize>>,
}

impl Fake {
    async fn start<F>(speak: impl Fn(Line) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent, muted) = watch::channel(0);
        let (hears, heard) = watch::channel(0);
        let (made, hears) = (Arc::new(AtomicUsize::new(0)), Arc::new(hears));
        let counted = Arc::clone(&made);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let stream = BufReader::new(stream);
                // The task ends when the client hangs up.
                tokio::spawn(speak(Line { stream, number, silent: muted.clone(), heard: Arc::clone(&hears) }));
            }
        });
        Self { address, made, silent, heard }
    }

    /// A Redis in which the value of a key is the key, with some exceptions: see [`value`].
    async fn redis() -> (Self, Cache) {
        let fake = Self::start(redis).await;
        let client = redis::Client::open(("127.0.0.1", fake.address.port())).unwrap();
        (fake, Cache::new(client))
    }

    /// A PostgreSQL in which it is always noon, or which refuses each query for this reason. Its pool has four
    /// connections.
    async fn postgres(refuses: Option<&'static str>) -> (Self, Database) {
        let fake = Self::start(move |line| postgres(line, refuses)).await;
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(fake.address.port()).user("nobody");
        (fake, Database::new(config, 4))
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// All present connections fall silent. New ones are served.
    fn fails_over(&self) {
        self.silent.send_replace(self.made());
    }

    /// Makes `call` and drops it after the server has heard it and before it answers. The answer follows.
    async fn cut_off(&mut self, call: impl Future) {
        self.fails_over();
        self.heard.borrow_and_update();
        tokio::select! {
            biased;
            _ = self.heard.changed() => {}
            // On a busy machine the call may reach its time limit first.
            _ = call => {}
        }
        self.silent.send_replace(0);
    }
}

impl Line {
    /// Waits until the command that was heard may be answered.
    async fn heard(&mut self) {
        self.heard.send_modify(|heard| *heard += 1);
        let number = self.number;
        let _ = self.silent.wait_for(|silent| *silent <= number).await;
    }

    async fn text(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

async fn redis(mut line: Line) -> io::Result<()> {
    loop {
        let mut words = Vec::new();
        // A command is `*2 $3 GET $1 k`, each word on a line.
        let count = line.text().await?[1..].parse().unwrap();
        while words.len() < count {
            line.text().await?;
            words.push(line.text().await?);
        }
        let answer = match &words[..] {
            [get, key] if get == "GET" => {
                line.heard().await;
                value(key)
            }
            // The client introduces itself.
            _ => b"+OK\r\n".to_vec(),
        };
        line.stream.write_all(&answer).await?;
    }
}

/// The reply of a [`Fake`] Redis for `key`: an error if the key looks like one, bytes that are no text, something that
/// is no reply, or the key itself.
fn value(key: &str) -> Vec<u8> {
    match key {
        "bytes" => b"$2\r\n\xff\xfe\r\n".to_vec(),
        "rubbish" => b"rubbish\r\n".to_vec(),
        error if error.starts_with('-') => format!("{error}\r\n").into_bytes(),
        text => format!("${}\r\n{text}\r\n", text.len()).into_bytes(),
    }
}

async fn postgres(mut line: Line, refuses: Option<&'static str>) -> io::Result<()> {
    let length = line.stream.read_u32().await?;
    line.stream.read_exact(&mut vec![0; length as usize - 4]).await?;
    line.stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat()).await?;
    loop {
        let kind = line.stream.read_u8().await?;
        let length = line.stream.read_u32().await?;
        line.stream.read_exact(&mut vec![0; length as usize - 4]).await?;
        let answer = match (kind, refuses) {
            (b'P', _) => {
                line.heard().await;
                message(b'1', &[])
            }
            // The query has no parameters, and its result has one column of text.
            (b'D', _) => [
                message(b't', &[0, 0]),
                message(b'T', &[b"\0\x01t\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0".as_slice()].concat()),
            ]
            .concat(),
            (b'B', _) => message(b'2', &[]),
            (b'E', None) => [message(b'D', b"\0\x01\0\0\0\x04noon"), message(b'C', b"SELECT 1\0")].concat(),
            (b'E', Some(code)) => refusal(code),
            (b'C', _) => message(b'3', &[]),
            (b'S', _) => message(b'Z', b"I"),
            _ => return Ok(()),
        };
        line.stream.write_all(&answer).await?;
    }
}

/// A message of PostgreSQL's protocol.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// An error with this SQLSTATE.
fn refusal(code: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0C{code}\0Mno\0\0").as_bytes())
}

fn failure(kind: FailureKind) -> Outcome {
    Outcome::Failure(kind)
}

/// When the old connections are dead, an open circuit closes by a probe over a new connection.
async fn closes_after_a_failover(fake: &Fake, call: impl AsyncFn() -> Result<(), Fault>) {
    let config = Config::streak(1).open_for(Duration::from_secs(1)).open_at_most(Duration::from_secs(1)).jitter(false);
    let breaker: Breaker<Streak, _> = Breaker::new(config, ManualClock::new());
    until(async || call().await.is_ok()).await;
    fake.fails_over();
    let made = fake.made();
    let late = breaker.call_async_with(&classify, || call()).await;
    assert!(matches!(late, Err(Error::Inner(Fault::Late))), "{late:?}");
    assert_eq!((breaker.state(), fake.made()), (State::Open, made));
    // The first probe closes it, unless the machine is so busy that the probe is late.
    let mut probes = 0;
    while breaker.state() != State::Closed {
        probes += 1;
        assert!(probes <= 20, "no probe of {probes} has found the new server");
        breaker.clock().advance_ticks(1025);
        let _ = breaker.call_async_with(&classify, || call()).await;
    }
    assert!(fake.made() > made);
}

#[tokio::test]
async fn a_database_that_failed_over_is_found_again() {
    let (fake, database) = Fake::postgres(None).await;
    closes_after_a_failover(&fake, async || database.time().await.map(drop)).await;
}

#[tokio::test]
async fn a_cache_that_failed_over_is_found_again() {
    let (fake, cache) = Fake::redis().await;
    closes_after_a_failover(&fake, async || cache.get("key").await.map(drop)).await;
}

#[tokio::test]
async fn connections_that_idled_beside_a_dead_one_go_with_it() {
    let (fake, database) = Fake::postgres(None).await;
    let two = async |database: &Database| {
        drop((database.pool().get().await, database.pool().get().await));
        database.pool().status().size == 2
    };
    until(async || two(&database).await).await;
    fake.fails_over();
    let late = database.time().await;
    assert!(matches!(late, Err(Fault::Late)), "{late:?}");
    assert_eq!(database.pool().status().size, 0);

    // A connection that was used meanwhile stays. On a busy machine it may be late as well: then this is tried again.
    until(async || {
        let (fake, database) = Fake::postgres(None).await;
        let two = two(&database).await;
        fake.silent.send_replace(1);
        let (late, time) = tokio::join!(database.time(), database.time());
        two && late.is_err() && time.is_ok() && fake.made() == 2 && database.pool().status().size == 1
    })
    .await;
}

#[tokio::test]
async fn a_pool_gets_back_what_answered_and_no_more() {
    for (refuses, outcome, left) in [
        (None, Outcome::Success, 1),
        (Some("42P01"), Outcome::Alive, 1),
        (Some("57P01"), failure(FailureKind::Server), 0),
    ] {
        until(async || {
            let (_fake, database) = Fake::postgres(refuses).await;
            let answer = database.time().await;
            // If it was late, this is tried again.
            !matches!(answer, Err(Fault::Late)) && {
                assert_eq!((classify(&answer), database.pool().status().size), (outcome, left), "{answer:?}");
                assert!(answer.is_err() || answer.is_ok_and(|time| time == "noon"));
                true
            }
        })
        .await;
    }

    // A call that is cut off in the middle of its answer: the next call would have to wait for that.
    let (mut fake, database) = Fake::postgres(None).await;
    until(async || database.time().await.is_ok()).await;
    fake.cut_off(database.time()).await;
    assert_eq!(database.pool().status().size, 0);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_not_taken_for_another() {
    until(async || {
        let (mut fake, cache) = Fake::redis().await;
        let first = cache.get("first").await;
        fake.cut_off(cache.get("second")).await;
        let third = cache.get("third").await;
        assert!(third.as_ref().map_or(true, |value| value.as_deref() == Some("third")), "{third:?}");
        // On a busy machine a call may be late: then this is tried again. A caller that went away takes nothing from
        // others.
        first.is_ok() && third.is_ok() && fake.made() == 1
    })
    .await;
}

#[tokio::test]
async fn who_is_late_lets_go_of_its_own_connection_and_not_of_the_next() {
    until(async || {
        let (fake, cache) = Fake::redis().await;
        let before = cache.get("before").await;
        fake.fails_over();
        let late_and_anew = async { (cache.get("late").await, cache.get("anew").await) };
        let later = async {
            sleep(PATIENCE / 2).await;
            cache.get("later").await
        };
        let ((late, anew), later) = tokio::join!(late_and_anew, later);
        let after = cache.get("after").await;
        // On a busy machine more calls may be late: then this is tried again.
        late.is_err() && later.is_err() && before.and(anew).and(after).is_ok() && fake.made() == 2
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_of_no_use_is_not_the_caches_fault() {
    for (key, outcome, connections) in [
        ("-WRONGTYPE Operation against a key holding the wrong kind of value", Outcome::Alive, 1),
        ("-ERR unknown command", Outcome::Alive, 1),
        ("bytes", Outcome::Alive, 1),
        ("-READONLY You can't write against a read only replica.", failure(FailureKind::Server), 2),
        ("rubbish", failure(FailureKind::Protocol), 2),
    ] {
        until(async || {
            let (fake, cache) = Fake::redis().await;
            let answer = cache.get(key).await;
            let after = cache.get("after").await;
            // If one was late, this is tried again.
            !matches!(answer, Err(Fault::Late)) && after.is_ok() && {
                assert_eq!((classify(&answer), fake.made()), (outcome, connections), "{key}: {answer:?}");
                true
            }
        })
        .await;
    }
}

#[test]
fn each_error_of_redis_has_its_outcome() {
    let says = |error: RedisError| classify(&Err::<(), _>(Fault::Redis(error)));
    let replied = |line: &str| match redis::parse_redis_value(format!("-{line} as it happens\r\n").as_bytes()) {
        Ok(redis::Value::ServerError(error)) => says(error.into()),
        other => panic!("{line}: {other:?}"),
    };
    for word in [
        "ERR",
        "WRONGTYPE",
        "NOSCRIPT",
        "EXECABORT",
        "NOPERM",
        "CROSSSLOT",
        "MOVED",
        "ASK",
        "BUSYKEY",
        "BUSYGROUP",
        "NOTBUSY",
        "NOSUB",
        "UNKILLABLE",
    ] {
        assert_eq!(replied(word), Outcome::Alive, "{word}");
    }
    for word in ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "OOM", "MISCONF", "NOREPLICAS"]
    {
        assert_eq!(replied(word), failure(FailureKind::Server), "{word}");
    }
    for word in ["NOAUTH", "WRONGPASS", "DENIED"] {
        assert_eq!(replied(word), failure(FailureKind::Auth), "{word}");
    }
    for (kind, outcome) in [
        (ErrorKind::Server(ServerErrorKind::ResponseError), Outcome::Alive),
        (ErrorKind::UnexpectedReturnType, Outcome::Alive),
        (ErrorKind::Server(ServerErrorKind::BusyLoading), failure(FailureKind::Server)),
        (ErrorKind::AuthenticationFailed, failure(FailureKind::Auth)),
        (ErrorKind::Parse, failure(FailureKind::Protocol)),
        (ErrorKind::Io, failure(FailureKind::Reset)),
        (ErrorKind::InvalidClientConfig, failure(FailureKind::Other)),
    ] {
        assert_eq!(says((kind, "so").into()), outcome, "{kind:?}");
    }
    for (kind, is) in [
        (io::ErrorKind::TimedOut, FailureKind::Timeout),
        (io::ErrorKind::ConnectionRefused, FailureKind::Refused),
        (io::ErrorKind::ConnectionReset, FailureKind::Reset),
        (io::ErrorKind::BrokenPipe, FailureKind::Reset),
    ] {
        assert_eq!(says(io::Error::from(kind).into()), failure(is), "{kind:?}");
    }
}

#[tokio::test]
async fn each_error_of_postgresql_has_its_outcome() {
    let says = |error| classify(&Err::<(), _>(Fault::Postgres(error)));
    // The outcome of a connection to a server that sends this and hangs up.
    let told = async |said: Vec<u8>| {
        let stream = tokio::io::join(&said[..], tokio::io::sink());
        let error = tokio_postgres::Config::new().user("nobody").connect_raw(stream, NoTls).await.err().unwrap();
        says(PoolError::Backend(error))
    };
    // No such table, a division by zero, a deadlock, no such database, two unknown codes.
    for code in ["42P01", "22012", "40P01", "3D000", "ZZZZZ", "?"] {
        assert_eq!(told(refusal(code)).await, Outcome::Alive, "{code}");
    }
    for code in ["08006", "53300", "57P01", "57P03", "58030", "XX000"] {
        assert_eq!(told(refusal(code)).await, failure(FailureKind::Server), "{code}");
    }
    for code in ["28000", "28P01"] {
        assert_eq!(told(refusal(code)).await, failure(FailureKind::Auth), "{code}");
    }
    assert_eq!(told(Vec::new()).await, failure(FailureKind::Reset));

    // We hold the port and do not listen, so nobody answers there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(nobody.local_addr().unwrap().port()).user("nobody");
    let error = config.connect(NoTls).await.err().unwrap();
    assert_eq!(says(PoolError::Backend(error)), failure(FailureKind::Refused));

    for (error, outcome) in [
        (PoolError::Timeout(TimeoutType::Wait), Outcome::Ignored),
        (PoolError::Timeout(TimeoutType::Create), failure(FailureKind::Timeout)),
        (PoolError::Timeout(TimeoutType::Recycle), failure(FailureKind::Timeout)),
        (PoolError::Closed, failure(FailureKind::Other)),
    ] {
        let text = format!("{error:?}");
        assert_eq!(says(error), outcome, "{text}");
    }
    assert_eq!(classify(&Ok(())), Outcome::Success);
    assert_eq!(classify(&Err::<(), _>(Fault::Late)), failure(FailureKind::Timeout));
}
