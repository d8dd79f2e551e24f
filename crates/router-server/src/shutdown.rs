//! When to stop, and what is waited for.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long everything that still runs has to end, once requests are done: children are ended within it.
const GRACE: Duration = Duration::from_secs(12);

/// The two signs of a shutdown, and the tasks that it waits for.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Begin: accept nothing more, finish what is in flight.
    pub begin: CancellationToken,
    /// Requests are done: end children, background work and sessions.
    pub finish: CancellationToken,
    /// Every task of the process.
    pub tasks: TaskTracker,
}

impl Shutdown {
    /// Begins on SIGTERM or SIGINT; a second one does not wait for requests any longer.
    pub fn on_signal(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        self.tasks.spawn(async move {
            for sign in [&shutdown.begin, &shutdown.finish] {
                let asked = async {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                };
                if shutdown.finish.run_until_cancelled(asked).await.is_none() {
                    return;
                }
                sign.cancel();
            }
        });
        Ok(())
    }

    /// Ends what is left.
    pub async fn complete(self) {
        self.begin.cancel();
        self.finish.cancel();
        self.tasks.close();
        if timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("{} tasks did not end within {} s", self.tasks.len(), GRACE.as_secs());
        }
    }
}
