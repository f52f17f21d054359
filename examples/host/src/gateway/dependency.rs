//! A PostgreSQL by a pool and a Redis by one connection that all share: a call each, over in time, and what their errors
//! say about them.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use microbreaker::{FailureKind, Outcome};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
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
    Redis(redis::RedisError),
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
        let query = async {
            let connection = self.0.get().await.map_err(Fault::Postgres)?;
            let row = connection.query_one("SELECT clock_timestamp()::text", &[]).await;
            row.map(|row| row.get(0)).map_err(|error| Fault::Postgres(PoolError::Backend(error)))
        };
        timeout(PATIENCE, query).await.unwrap_or(Err(Fault::Late))
    }

    /// The pool.
    #[allow(dead_code, reason = "not everybody who has this file needs it")]
    pub(crate) const fn pool(&self) -> &Pool {
        &self.0
    }
}

/// A Redis.
pub(crate) struct Cache {
    client: redis::Client,
    /// Made at the first call, and anew after it broke.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Cache {
    pub(crate) fn new(client: redis::Client) -> Self {
        Self { client, connection: Mutex::new(None) }
    }

    /// The value of `key`, if it has one.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<String>, Fault> {
        self.ask(redis::cmd("GET").arg(key)).await
    }

    /// Gives `key` a value.
    pub(crate) async fn set(&self, key: &str, value: &str) -> Result<(), Fault> {
        self.ask(redis::cmd("SET").arg(key).arg(value)).await
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Fault> {
        let call = async {
            let mut connection = self.connection().await?;
            let answer = command.query_async(&mut connection).await;
            if answer.as_ref().is_err_and(redis::RedisError::is_unrecoverable_error) {
                *self.connection.lock().await = None;
            }
            answer
        };
        timeout(PATIENCE, call).await.map_or(Err(Fault::Late), |answer| answer.map_err(Fault::Redis))
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let mut present = self.connection.lock().await;
        if let Some(connection) = &*present {
            return Ok(connection.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let new = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(present.insert(new).clone())
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

/// The classes of SQLSTATE that speak against the server: connection exceptions, insufficient resources, operator
/// intervention (it shuts down or starts up), system errors, internal errors.
const UNWELL: [&str; 5] = ["08", "53", "57", "58", "XX"];
