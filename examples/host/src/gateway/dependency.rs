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
            // It answered, and said no: the query's fault.
            Some(code) if !UNWELL.contains(&&code.code()[..2]) => Outcome::Alive,
            Some(_) => Outcome::Failure(FailureKind::Server),
            None if error.is_closed() => Outcome::Failure(FailureKind::Reset),
            None => Outcome::Failure(FailureKind::Refused),
        },
        Err(Fault::Postgres(_)) => Outcome::Failure(FailureKind::Other),
        Err(Fault::Redis(error)) if error.is_timeout() => Outcome::Failure(FailureKind::Timeout),
        Err(Fault::Redis(error)) if error.is_connection_refusal() => Outcome::Failure(FailureKind::Refused),
        Err(Fault::Redis(error)) if error.is_io_error() => Outcome::Failure(FailureKind::Reset),
        // It answered: a wrong type, an unknown command.
        Err(Fault::Redis(error)) if error.kind() == redis::ErrorKind::UnexpectedReturnType => Outcome::Alive,
        Err(Fault::Redis(_)) => Outcome::Failure(FailureKind::Server),
    }
}

/// Whether the server answered, and said nothing against itself.
fn is_well<T>(result: &Result<T, Fault>) -> bool {
    matches!(classify(result), Outcome::Success | Outcome::Alive)
}

/// The classes of SQLSTATE that speak against the server: connection exceptions, insufficient resources, operator
/// intervention (it shuts down or starts up), system errors, internal errors.
const UNWELL: [&str; 5] = ["08", "53", "57", "58", "XX"];
