//! What an answer cost, told when its last byte has gone: to whoever counts, and to the trail of its call.

use std::sync::Arc;

use router_core::{
    Charge, Cx, End, Meter, Name, Reply,
    chat::{ChatReply, Usage},
};

use crate::models::Price;

/// On whose account an answer goes.
pub(super) struct Account {
    /// Who answers, as metrics name it.
    pub(super) upstream: Name,
    /// The alias that was asked for.
    pub(super) alias: Option<Name>,
    /// What a model of it costs, where that is known.
    pub(super) price: Option<Price>,
}

/// The same reply, which is put on the account when it is over.
pub(super) fn billed(reply: ChatReply, cx: &Cx, account: Account, meter: &Arc<dyn Meter>) -> ChatReply {
    let dropped = reply.provenance().dropped.iter().count();
    let (meter, cx) = (Arc::clone(meter), cx.clone());
    reply.watch(Box::new(move |end| {
        let usage = told(&end);
        // A price without a usage is no cost: what nobody told is not made up.
        let dollars = usage.zip(account.price).map(|(usage, price)| price.cost(usage));
        cx.trail().spend(dollars);
        meter.charge(&Charge {
            upstream: &account.upstream,
            alias: account.alias.as_ref(),
            caller: &cx.caller().name,
            usage: usage.unwrap_or_default(),
            dollars,
            dropped,
        });
    }))
}

/// The usage of a reply, where its upstream told one. What was told before a reply was cut has to be paid for, too.
fn told(end: &End) -> Option<Usage> {
    let (End::Complete(usage) | End::Broken(_, usage) | End::Dropped(usage)) = end;
    Some(*usage).filter(Usage::is_known)
}
