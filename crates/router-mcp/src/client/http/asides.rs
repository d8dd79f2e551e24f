//! Who hears what a server says beside its answers: the caller of a request, all of them on the standing stream, or nobody.

use std::sync::{Arc, atomic::Ordering};

use router_core::Raw;
use serde_json::json;

use super::{
    super::{
        eras::Era,
        listener::{self, Listener},
        watched::UPDATED,
    },
    Met, Remote,
    exchange::{Aside, Asked},
};
use crate::rpc;

/// A request of a caller, on its way.
pub(super) struct Call {
    pub(super) remote: Arc<Remote>,
    pub(super) met: Arc<Met>,
    pub(super) listener: Listener,
}

impl Aside for Call {
    fn heard(&self, method: Arc<str>, params: Option<Raw>) {
        match &*method {
            listener::VISITED | listener::TASK | UPDATED => self.remote.around.remark(&method, params.as_ref(), None),
            _ => self.listener.hear(method, params),
        }
    }

    fn asked(&self, asked: Asked) {
        self.remote.asked(&self.met, Some(self.listener.clone()), asked);
    }
}

/// The stream on which a server speaks unasked. What it says there names no request, so that it is somebody's only where
/// it can be nobody else's.
pub(super) struct Standing {
    pub(super) remote: Arc<Remote>,
    pub(super) met: Arc<Met>,
}

impl Aside for Standing {
    fn heard(&self, method: Arc<str>, params: Option<Raw>) {
        let Remote { calls, around, .. } = &*self.remote;
        match calls.whose(&method, params.as_ref()) {
            Some(listener) => listener.hear(method, params),
            None if matches!(&*method, listener::TASK | UPDATED) => around.remark(&method, params.as_ref(), None),
            None => around.remark_to(calls.audience(), &method, params.as_ref()),
        }
    }

    fn asked(&self, asked: Asked) {
        self.remote.asked(&self.met, self.remote.calls.meant(), asked);
    }
}

impl Remote {
    /// A question of the server to whoever `listener` is. Each answer is a request of ours: a server that asks without end
    /// is not answered without end.
    fn asked(self: &Arc<Self>, met: &Arc<Met>, listener: Option<Listener>, Asked { id, method, params }: Asked) {
        let (remote, met) = (Arc::clone(self), Arc::clone(met));
        let Some(place) = remote.around.question() else {
            return tracing::debug!(%method, "not answered: the server asks too much at once");
        };
        let whom = listener::who_answers(&method, listener, &self.around);
        self.around.tasks.spawn(async move {
            let answered = match whom {
                Ok(listener) => listener.answer(&method, params).await,
                Err(answered) => answered,
            };
            let message = match &answered {
                Ok(result) => rpc::result(&id, result),
                Err(error) => rpc::error(Some(&id), error),
            };
            remote.tell(met, message).await;
            drop(place);
        });
    }
}

/// Our own requests: nobody hears what else the server says.
pub(super) struct Nobody<'a>(pub(super) &'a Remote);

impl Aside for Nobody<'_> {
    fn heard(&self, method: Arc<str>, params: Option<Raw>) {
        self.0.around.remark(&method, params.as_ref(), None);
    }

    fn asked(&self, _: Asked) {}
}

/// A request in flight. Given up, it is cancelled: a modern server sees its stream close, a legacy one has to be told.
pub(super) struct Place<'a> {
    call: &'a Call,
    id: u64,
    /// Nothing is left to be cancelled.
    pub(super) done: bool,
}

impl<'a> Place<'a> {
    pub(super) fn of(call: &'a Call, id: u64) -> Self {
        call.remote.waiting.fetch_add(1, Ordering::Relaxed);
        if call.is_legacy() && !call.listener.is_router() {
            call.remote.calls.enter(id, &call.listener);
        }
        Self { call, id, done: false }
    }
}

impl Call {
    fn is_legacy(&self) -> bool {
        self.met.greeting.era == Era::Legacy
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let call = self.call;
        call.remote.waiting.fetch_sub(1, Ordering::Relaxed);
        if !call.is_legacy() {
            return;
        }
        call.remote.calls.leave(self.id);
        if self.done {
            return;
        }
        let params = json!({ "requestId": self.id, "reason": "the caller no longer waits" });
        let message = rpc::notification("notifications/cancelled", Some(&Raw::trusted(params.to_string())));
        call.remote.aside(&call.met, message);
    }
}
