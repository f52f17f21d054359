//! A client that is created when it is first needed, behind the breaker that guards its calls.

use core::fmt;
use core::future::Future;
use core::ptr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_lock::Mutex;

use crate::breaker::gate::{Gate, Report};
use crate::breaker::timed::Timed;
use crate::terms::outcome::{AnyError, Classify, FailureKind, Outcome};
use crate::terms::rejected::{Error, Rejected};

/// A client `T`, created at the first admitted call, and the [gate](Gate) that its creation and its calls go
/// through: a breaker by reference, by `Arc`, … On any runtime.
///
/// One caller creates, the others wait for it, unless the breaker admits no call as they come: then they are rejected at
/// once, though the creation hangs. Whose turn it is asks the breaker, only then: after failures that opened the
/// circuit, those who waited are rejected instead of trying one after the other. A creation that fails is a failure of
/// the peer, and the next caller tries again. Once there is a client, a look takes no lock and writes no more than the
/// count of the `Arc` that it gives.
///
/// ```
/// use microbreaker::lazy::Lazy;
/// use microbreaker::{Breaker, Config, Error, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static BREAKER: Breaker<Streak, &ManualClock> = Breaker::new(Config::database(), &CLOCK);
/// static DB: Lazy<Client, &Breaker<Streak, &ManualClock>> = Lazy::new(&BREAKER);
///
/// struct Client;
/// enum Fault { Connection, Query }
/// impl Client {
///     async fn connect() -> Result<Self, Fault> { Ok(Self) }
///     async fn query(&self) -> Result<u32, Fault> { Ok(1) }
/// }
///
/// async fn rows() -> Result<u32, Error<Fault>> {
///     DB.call(Client::connect, async |client| {
///         let result = client.query().await;
///         if let Err(Fault::Connection) = result {
///             DB.discard(&client); // the next call connects anew
///         }
///         result
///     }).await
/// }
/// # let _ = rows();
/// ```
pub struct Lazy<T, G> {
    breaker: G,
    client: ArcSwapOption<T>,
    /// Whose turn it is to create.
    turn: Mutex<()>,
}

impl<T, G> Lazy<T, G> {
    /// No client yet.
    pub const fn new(breaker: G) -> Self {
        Self { breaker, client: ArcSwapOption::const_empty(), turn: Mutex::new(()) }
    }

    /// The breaker.
    pub const fn breaker(&self) -> &G {
        &self.breaker
    }

    /// The client, if there is one. Asks nobody.
    pub fn current(&self) -> Option<Arc<T>> {
        self.client.load_full()
    }

    /// Drops the client after an error that it will not get over, so that the next call creates another. `false` if it is
    /// not the present one: of many calls that failed by one client, only the first drops it, and none a newer.
    ///
    /// Who has it keeps it for as long as that lasts.
    pub fn discard(&self, client: &Arc<T>) -> bool {
        let present = Arc::as_ptr(client);
        // The caller's own count keeps the address from being another's meanwhile.
        let before = self.client.compare_and_swap(present, None);
        before.as_ref().is_some_and(|before| ptr::eq(Arc::as_ptr(before), present))
    }
}

impl<T, G: Gate + Clone> Lazy<T, G> {
    /// The client, created on a permit of its own if there is none: a success or a failure of the breaker's. A client that
    /// is there is given out whatever the breaker says; guard what you do with it.
    ///
    /// For a creation that reaches the peer (a connection, a login). One that does not says nothing of its health: use
    /// [`call`](Self::call), which reports the call instead.
    ///
    /// Cancel safety: dropped while it waits, nothing happened; while it creates, the permit is dropped (see
    /// [`Permit`](crate::Permit)) and the turn is the next one's.
    pub async fn get<E, F>(&self, create: impl FnOnce() -> F) -> Result<Arc<T>, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let (client, permit) = self.obtain(create).await?;
        if let Some(permit) = permit {
            permit.stop().record(Outcome::Success);
        }
        Ok(client)
    }

    /// Calls by the client, which is created first if there is none: all on one permit, taken before either. `Ok` is a
    /// success, `Err` a failure, of the creation too; if that fails there is no call.
    ///
    /// The permit of the first call is held over the creation, which so counts to its time. The wait for another's creation
    /// does not.
    ///
    /// Cancel safety: as for [`get`](Self::get). A client that was created stays.
    pub async fn call<R, E, F, A>(
        &self,
        create: impl FnOnce() -> F,
        call: impl FnOnce(Arc<T>) -> A,
    ) -> Result<R, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        A: Future<Output = Result<R, E>>,
    {
        self.call_with(&AnyError, create, call).await
    }

    /// [`call`](Self::call), with your own say in what a call's result means. A creation that fails is a failure all the
    /// same.
    pub async fn call_with<R, E, F, A>(
        &self,
        classify: &impl Classify<Result<R, E>>,
        create: impl FnOnce() -> F,
        call: impl FnOnce(Arc<T>) -> A,
    ) -> Result<R, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        A: Future<Output = Result<R, E>>,
    {
        let (client, permit) = self.obtain(create).await?;
        let permit = match permit {
            Some(permit) => permit,
            None => self.permit()?,
        };
        let result = call(client).await;
        permit.stop().record(classify.classify(&result));
        result.map_err(Error::Inner)
    }

    /// Leave to make a call, of which the time runs.
    fn permit(&self) -> Result<Timed<G::Permit>, Rejected> {
        self.breaker.clone().enter().map(Timed::start)
    }

    /// The client; with the permit, still to be reported, if it was created just now.
    async fn obtain<E, F>(&self, create: impl FnOnce() -> F) -> Result<(Arc<T>, Option<Timed<G::Permit>>), Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(client) = self.current() {
            return Ok((client, None));
        }
        // Who cannot be admitted does not wait, for the one whose turn it is may hang: on the only probe, say.
        if let Err(rejected) = self.breaker.look() {
            // The breaker was not asked, so it has not told.
            self.breaker.notify_rejected(rejected.reason());
            return Err(Error::Rejected(rejected));
        }
        let _turn = self.turn.lock().await;
        // Created by the one before?
        if let Some(client) = self.current() {
            return Ok((client, None));
        }
        let permit = self.permit()?;
        match create().await {
            Ok(client) => {
                let client = Arc::new(client);
                self.client.store(Some(Arc::clone(&client)));
                Ok((client, Some(permit)))
            }
            Err(error) => {
                permit.stop().record(Outcome::Failure(FailureKind::Other));
                Err(Error::Inner(error))
            }
        }
    }
}

impl<T, G> fmt::Debug for Lazy<T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("created", &self.current().is_some()).finish_non_exhaustive()
    }
}
