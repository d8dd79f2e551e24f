//! Hearing that a server's lists have changed, where such news has to be asked for.

use std::{convert::Infallible, time::Duration};

use router_core::Raw;
use tokio::time::{Instant, sleep};

use super::{
    Channel,
    changes::Changes,
    eras::{Era, Greeting, listen_params},
};
use crate::{
    fields,
    rpc::{RpcError, code},
};

pub(super) const LISTEN: &str = "subscriptions/listen";
/// How long the answer to [`LISTEN`] may take: for as long as there is news.
pub(super) const ENDLESS: Duration = Duration::from_hours(365 * 24);

/// The first pause before news is asked for again; each one after it is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest; who was listened to for as long was well.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The lists that can change: how a subscription names them, and whose capability they are.
const LISTS: [(&str, &str); 3] =
    [("toolsListChanged", "tools"), ("resourcesListChanged", "resources"), ("promptsListChanged", "prompts")];

/// Why no more news comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ended {
    /// It may be asked for again.
    Broke,
    /// The server has no such thing, or tells it unasked.
    ForGood,
}

impl Ended {
    /// What the server's refusal means.
    pub(super) fn by(error: &RpcError) -> Self {
        match error.code {
            code::METHOD_NOT_FOUND | code::INVALID_PARAMS | code::INVALID_REQUEST => Self::ForGood,
            _ => Self::Broke,
        }
    }
}

/// Listens for as long as the connection lasts. What changed while nobody listened is not known, so all may have.
pub(crate) async fn follow(channel: &Channel, greeting: &Greeting, changes: &Changes) -> Infallible {
    let told = told(&greeting.capabilities);
    // A legacy server may speak up unasked, whatever lists it has.
    if told.is_none() && greeting.era == Era::Modern {
        return std::future::pending().await;
    }
    let params = listen_params(&told.clone().unwrap_or_else(fields::empty));
    let mut pause = PAUSE;
    loop {
        let since = Instant::now();
        if channel.news(&params, None).await == Ended::ForGood {
            return std::future::pending().await;
        }
        if since.elapsed() > PAUSE_MAX {
            pause = PAUSE;
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(PAUSE_MAX);
        if told.is_some() {
            changes.tell();
        }
    }
}

/// The lists whose changes a server tells, as a subscription names them; `None` when it tells none.
fn told(capabilities: &Raw) -> Option<Raw> {
    let tells =
        |capability| fields::get(capabilities, capability).is_some_and(|it| fields::is_true(&it, "listChanged"));
    let yes = Raw::trusted("true");
    let wanted: Vec<_> =
        LISTS.iter().filter(|(_, capability)| tells(*capability)).map(|(name, _)| (*name, &yes)).collect();
    (!wanted.is_empty()).then(|| fields::with_fields(&fields::empty(), &wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_tells_is_asked_for() {
        for (capabilities, expected) in [
            ("{}", None),
            (r#"{"tools":{},"prompts":{"listChanged":false},"x":{"listChanged":true}}"#, None),
            (r#"{"tools":{"listChanged":true}}"#, Some(r#"{"toolsListChanged":true}"#)),
            (
                r#"{"prompts":{"listChanged":true},"tools":{},"resources":{"subscribe":true,"listChanged":true}}"#,
                Some(r#"{"resourcesListChanged":true,"promptsListChanged":true}"#),
            ),
        ] {
            assert_eq!(told(&Raw::trusted(capabilities)), expected.map(Raw::trusted), "{capabilities}");
        }
    }
}
