//! A PostgreSQL by a pool and a Redis by one connection that all share: a call each, over in time, and what their errors
//! say about them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use microbreaker::{FailureKind, Outcome};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_postgres::NoTls;

/// How long a call may take, its connection included.
pub(crate) const PATIENCE: Duration = Duration::from_millis(150);

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No answer in time.
    Late,
    Postgres(PoolError),
    Redis(RedisError),
}

/// A PostgreSQL.
pub(crate) struct Database(Pool);

impl Database {
    /// Connects at the first call.
    pub(crate) fn new(mut config: tokio_postgres::Config, connections: usize) -> Self {
        config.connect_timeout(PATIENCE);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(connections)
            // A turn in the pool is waited for less long than an answer: so a call that had a connection, and not one
            // that waited for it, says whether the database answers.
            .wait_timeout(Some(PATIENCE / 3))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build();
        Self(pool.expect("a runtime is given, and nothing else can be wrong"))
    }

    /// What the database's clock says.
    pub(crate) async fn time(&self) -> Result<String, Fault> {
        let begun = Instant::now();
        let query = async {
            let lent = Lent(Some(self.0.get().await.map_err(Fault::Postgres)?));
            let row = lent.connection().query_one("SELECT clock_timestamp()::text", &[]).await;
            let time = row.map(|row| row.get(0)).map_err(|error| Fault::Postgres(PoolError::Backend(error)));
            lent.end(&time);
            time
        };
        let late = |_| {
            // What silenced its connection may have silenced those that idle: only those that have been of use since stay,
            // so that the next call, a probe perhaps, asks the database and not another dead connection.
            self.0.retain(|_, metrics| metrics.last_used() < begun.elapsed());
            Err(Fault::Late)
        };
        timeout(PATIENCE, query).await.unwrap_or_else(late)
    }

    /// The pool.
    #[allow(dead_code, reason = "not everybody who has this file needs it")]
    pub(crate) const fn pool(&self) -> &Pool {
        &self.0
    }
}

/// A connection out of the pool that is closed when it is dropped, and given back only by a call that had its answer.
///
/// Of a call that was cut off, because it was late or its caller went away, an answer may be under way. tokio-postgres would
/// not mix it up with the next, but has the next wait until it is over: for ever if the connection is dead. And the pool
/// gives back whatever is not known to be closed.
struct Lent(Option<Object>);

impl Lent {
    fn connection(&self) -> &Object {
        self.0.as_ref().expect("it is there until the call ends")
    }

    /// The call ended so.
    fn end<T>(mut self, result: &Result<T, Fault>) {
        // Back to the pool, if nothing is wrong with the server at the other end.
        let connection = self.0.take_if(|_| is_well(result));
        drop(connection);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}

/// A Redis.
pub(crate) struct Cache {
    client: redis::Client,
    /// Made by the first call, while others wait for it.
    connection: Mutex<Shared>,
}

type Shared = Arc<OnceCell<MultiplexedConnection>>;

impl Cache {
    pub(crate) fn new(client: redis::Client) -> Self {
        Self { client, connection: Mutex::default() }
    }

    /// The value of `key`, if it has one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<String>, Fault> {
        self.ask(redis::cmd("GET").arg(key)).await
    }

    /// Gives `key` a value.
    pub(crate) async fn set(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.ask(redis::cmd("SET").arg(key).arg(value)).await
    }

    /// A call that is dropped leaves the connection to the others: its answer, when it comes, is read and thrown away. If it
    /// never comes, the next that waits in vain notices.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Fault> {
        let shared = Arc::clone(&self.connection.lock().unwrap_or_else(PoisonError::into_inner));
        let call = async {
            let mut connection = shared.get_or_try_init(|| self.connect()).await?.clone();
            let value = command.query_async(&mut connection).await?;
            // Apart from the query: for the library a value of another type and a reply that is none are the same.
            T::from_redis_value(value)
                .map_err(|error| RedisError::from((ErrorKind::UnexpectedReturnType, "another type", error.to_string())))
        };
        let answer = timeout(PATIENCE, call).await.map_or(Err(Fault::Late), |answer| answer.map_err(Fault::Redis));
        if !is_well(&answer) {
            self.let_go(&shared);
        }
        answer
    }

    /// The next call makes another connection; those that are under way on this one keep it until they end.
    fn let_go(&self, shared: &Shared) {
        let mut present = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Unless somebody else has been first, or it is still being made.
        if Arc::ptr_eq(&present, shared) && shared.initialized() {
            *present = Shared::default();
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // Without limits of its own: it is part of a call, and that is over in time.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// What a call came to, for the breaker.
pub(crate) fn classify<T>(result: &Result<T, Fault>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        // Nobody had a connection to spare: it was our pool that could not, not the database.
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
            // It answered with what the key holds, and that is of no use to us.
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

/// Whether the server answered, and said nothing against itself.
fn is_well<T>(result: &Result<T, Fault>) -> bool {
    matches!(classify(result), Outcome::Success | Outcome::Alive)
}

/// What an error that the server sent says of it: it answered, so it is alive, unless it says otherwise of itself.
fn reply(code: &str, unwell: &[(&str, FailureKind)]) -> Outcome {
    let found = unwell.iter().find(|(known, _)| *known == code);
    found.map_or(Outcome::Alive, |(_, kind)| Outcome::Failure(*kind))
}

/// The classes of SQLSTATE that speak against PostgreSQL. The others are about the query.
const STATES: [(&str, FailureKind); 6] = [
    ("08", FailureKind::Server), // a connection exception
    ("28", FailureKind::Auth),   // who we are is not known, or not proven
    ("53", FailureKind::Server), // resources do not suffice: memory, disk, connections
    ("57", FailureKind::Server), // an operator intervenes: it shuts down, or starts up
    ("58", FailureKind::Server), // an error of the system below it
    ("XX", FailureKind::Server), // an internal error
];

/// The first words of error replies that speak against Redis. The others are about the command, its keys or what this user
/// may do with them: `ERR`, `WRONGTYPE`, `NOSCRIPT`, `EXECABORT`, `NOPERM`, `CROSSSLOT`, `BUSYKEY`; also `MOVED` and `ASK`,
/// by which one node of a cluster that is well says that another has the key.
const WORDS: [(&str, FailureKind); 12] = [
    ("LOADING", FailureKind::Server), // it reads its data, and serves nobody before it has
    ("BUSY", FailureKind::Server),    // a script runs and runs, and nobody else is served
    ("MASTERDOWN", FailureKind::Server), // a replica that lost its master and does not serve old data
    ("CLUSTERDOWN", FailureKind::Server), // a node of a cluster without all of its slots, or without a majority
    ("TRYAGAIN", FailureKind::Server), // keys are on the way from one node to another
    ("READONLY", FailureKind::Server), // a replica, after a failover perhaps: another is the master now
    ("OOM", FailureKind::Server),     // it has all the memory that it may have, and takes no writes
    ("MISCONF", FailureKind::Server), // it cannot save to its disk, and takes no writes
    ("NOREPLICAS", FailureKind::Server), // too few replicas follow it, and it takes no writes
    ("NOAUTH", FailureKind::Auth),    // we did not say who we are
    ("WRONGPASS", FailureKind::Auth), // and could not prove it
    ("DENIED", FailureKind::Auth),    // it is protected from other machines than its own
];
