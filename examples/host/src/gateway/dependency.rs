//! Clients of a PostgreSQL (a pool) and of a Redis (one connection that all callers share). Each call has a time limit,
//! and each error is classified for a breaker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use microbreaker::{FailureKind, Outcome};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_postgres::NoTls;

/// How long a call may take. The time for its connection is included.
pub const PATIENCE: Duration = Duration::from_millis(150);

/// Why a call failed.
#[derive(Debug)]
pub enum Fault {
    /// There was no answer in time.
    Late,
    /// The pool or the database says so.
    Postgres(PoolError),
    /// The client or the server says so.
    Redis(RedisError),
}

/// A PostgreSQL, called through a pool of connections.
pub struct Database(Pool);

impl Database {
    /// Makes the pool. It connects at the first call.
    #[expect(clippy::missing_panics_doc, reason = "the pool has a runtime, and nothing else can be wrong with it")]
    pub fn new(mut config: tokio_postgres::Config, connections: usize) -> Self {
        config.connect_timeout(PATIENCE);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(connections)
            // A call waits less long for the pool than for an answer. So only calls that had a connection say whether
            // the database answers.
            .wait_timeout(Some(PATIENCE / 3))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build();
        Self(pool.expect("the pool has a runtime"))
    }

    /// Asks the database for its clock.
    pub async fn time(&self) -> Result<String, Fault> {
        let begun = Instant::now();
        let query = async {
            let lent = Lent(Some(self.0.get().await.map_err(Fault::Postgres)?));
            let row = lent.connection().query_one("SELECT clock_timestamp()::text", &[]).await;
            let time = row.map(|row| row.get(0)).map_err(|error| Fault::Postgres(PoolError::Backend(error)));
            lent.end(&time);
            time
        };
        let late = |_| {
            // The fault that silenced this connection may have silenced the idle ones too. Only connections that were
            // used since this call began stay. The next call, which may be a probe, then cannot get a dead one.
            self.0.retain(|_, metrics| metrics.last_used() < begun.elapsed());
            Err(Fault::Late)
        };
        timeout(PATIENCE, query).await.unwrap_or_else(late)
    }

    /// The pool of connections.
    pub const fn pool(&self) -> &Pool {
        &self.0
    }
}

/// A connection from the pool. It is closed when it is dropped. Only a call that had its answer gives it back.
///
/// A call may be cut off because it was late or because its caller went away. Its answer may then still arrive. The
/// client, tokio-postgres, does not confuse that answer with the next one, but the next call waits until it has
/// arrived: for ever if the connection is dead. The pool itself would take back every connection that is not known to
/// be closed.
struct Lent(Option<Object>);

impl Lent {
    fn connection(&self) -> &Object {
        self.0.as_ref().expect("the connection is there until the call ends")
    }

    /// The call has ended with this result.
    fn end<T>(mut self, result: &Result<T, Fault>) {
        // The connection goes back to the pool, unless something is wrong with the server.
        let connection = self.0.take_if(|_| is_well(result));
        drop(connection);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// A Redis, called through one connection that all callers share.
pub struct Cache {
    client: redis::Client,
    /// The first call makes it, and others wait for that.
    connection: Mutex<Shared>,
}

type Shared = Arc<OnceCell<MultiplexedConnection>>;

impl Cache {
    /// Makes the client. It connects at the first call.
    pub fn new(client: redis::Client) -> Self {
        Self { client, connection: Mutex::default() }
    }

    /// Reads the value of `key`, if it has one.
    pub async fn get(&self, key: &str) -> Result<Option<String>, Fault> {
        self.ask(redis::cmd("GET").arg(key)).await
    }

    /// Gives `key` a value.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.ask(redis::cmd("SET").arg(key).arg(value)).await
    }

    /// If a call is dropped, the others keep the connection: its answer is read and thrown away when it comes. If it
    /// never comes, the next call that gets no answer notices.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Fault> {
        let shared = Arc::clone(&self.connection.lock().unwrap_or_else(PoisonError::into_inner));
        let call = async {
            let mut connection = shared.get_or_try_init(|| self.connect()).await?.clone();
            let value = command.query_async(&mut connection).await?;
            // Converted apart from the query: the library gives the same error for another type and for a broken reply.
            T::from_redis_value(value)
                .map_err(|error| RedisError::from((ErrorKind::UnexpectedReturnType, "another type", error.to_string())))
        };
        let answer = timeout(PATIENCE, call).await.map_or(Err(Fault::Late), |answer| answer.map_err(Fault::Redis));
        if !is_well(&answer) {
            self.let_go(&shared);
        }
        answer
    }

    /// The next call makes a new connection. Calls that are under way keep this one until they end.
    fn let_go(&self, shared: &Shared) {
        let mut present = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing to do if another call was first, or if the connection is still being made.
        if Arc::ptr_eq(&present, shared) && shared.initialized() {
            *present = Shared::default();
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // It needs no time limits of its own, because it is part of a call that has one.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// What the result of a call says to the breaker.
pub fn classify<T>(result: &Result<T, Fault>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        // No connection was free. That says something about our pool and nothing about the database.
        Err(Fault::Postgres(PoolError::Timeout(TimeoutType::Wait))) => Outcome::Ignored,
        Err(Fault::Late | Fault::Postgres(PoolError::Timeout(_))) => Outcome::Failure(FailureKind::Timeout),
        Err(Fault::Postgres(PoolError::Backend(error))) => match error.code() {
            Some(code) => reply(code.code().get(..2).unwrap_or_default(), &STATES),
            None if error.is_closed() => Outcome::Failure(FailureKind::Reset),
            None => Outcome::Failure(FailureKind::Refused),
        },
        Err(Fault::Postgres(_)) => Outcome::Failure(FailureKind::Other),
        Err(Fault::Redis(error)) => match (error.code(), error.kind()) {
            (Some(word), _) => reply(word, &WORDS),
            // It answered, but the value of the key has a type that we cannot use.
            (None, ErrorKind::UnexpectedReturnType) => Outcome::Alive,
            (None, ErrorKind::AuthenticationFailed) => Outcome::Failure(FailureKind::Auth),
            (None, ErrorKind::Parse) => Outcome::Failure(FailureKind::Protocol),
            (None, ErrorKind::Io) if error.is_timeout() => Outcome::Failure(FailureKind::Timeout),
            (None, ErrorKind::Io) if error.is_connection_refusal() => Outcome::Failure(FailureKind::Refused),
            (None, ErrorKind::Io) => Outcome::Failure(FailureKind::Reset),
            (None, _) => Outcome::Failure(FailureKind::Other),
        },
    }
}

/// Whether the server answered and nothing is wrong with it.
fn is_well<T>(result: &Result<T, Fault>) -> bool {
    matches!(classify(result), Outcome::Success | Outcome::Alive)
}

/// What an error reply says about the server: it is alive, because it answered, unless the code says that it is unwell.
fn reply(code: &str, unwell: &[(&str, FailureKind)]) -> Outcome {
    let found = unwell.iter().find(|(known, _)| *known == code);
    found.map_or(Outcome::Alive, |(_, kind)| Outcome::Failure(*kind))
}

/// The classes of SQLSTATE that say that PostgreSQL is unwell. All others are about the query.
const STATES: [(&str, FailureKind); 6] = [
    ("08", FailureKind::Server), // a connection exception
    ("28", FailureKind::Auth),   // the database does not know us, or our proof was wrong
    ("53", FailureKind::Server), // insufficient resources: memory, disk, connections
    ("57", FailureKind::Server), // operator intervention: it shuts down or starts up
    ("58", FailureKind::Server), // an error of the operating system
    ("XX", FailureKind::Server), // an internal error
];

/// The first words of error replies that say that Redis is unwell. All others are about the command, its keys or what
/// this user may do with them: `ERR`, `WRONGTYPE`, `NOSCRIPT`, `EXECABORT`, `NOPERM`, `CROSSSLOT`, `BUSYKEY`. By
/// `MOVED` and `ASK` a healthy node of a cluster says that another node has the key.
const WORDS: [(&str, FailureKind); 12] = [
    ("LOADING", FailureKind::Server),     // it still loads its data, and serves nobody
    ("BUSY", FailureKind::Server),        // a script runs too long, and nobody else is served
    ("MASTERDOWN", FailureKind::Server),  // a replica lost its master, and does not serve old data
    ("CLUSTERDOWN", FailureKind::Server), // a node whose cluster lacks slots or a majority
    ("TRYAGAIN", FailureKind::Server),    // keys move from one node to another
    ("READONLY", FailureKind::Server),    // a replica: after a failover, another node is the master
    ("OOM", FailureKind::Server),         // its memory is full, and it takes no writes
    ("MISCONF", FailureKind::Server),     // it cannot save to its disk, and takes no writes
    ("NOREPLICAS", FailureKind::Server),  // too few replicas follow it, and it takes no writes
    ("NOAUTH", FailureKind::Auth),        // we did not say who we are
    ("WRONGPASS", FailureKind::Auth),     // our name or password was wrong
    ("DENIED", FailureKind::Auth),        // it refuses other machines than its own
];
