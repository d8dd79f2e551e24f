//! A request that a person has to clear the way for: who can send him somewhere is told so as its era has it
//! ([`super::state::visits`] makes the modern form of it); everybody else is told the address in words.

use router_core::{Error, Raw};
use serde_json::json;

use super::{takes_input, version::Version};
use crate::{
    fields,
    rpc::{RpcError, code},
};

/// What a server of 2025-11-25 would say in our place; `None` where words have to do, because the client cannot send
/// anybody anywhere, or the method may not be answered with that.
pub(super) fn visit(error: &Error, method: &str, (version, capabilities): (Version, &Raw)) -> Option<RpcError> {
    let consent = error.consent()?;
    let understood = match version {
        Version::Modern => takes_input(method),
        Version::LastLegacy => true,
        Version::Elicitation | Version::Batching | Version::First => false,
    };
    fields::get_path(capabilities, &["elicitation", "url"]).filter(|_| understood)?;
    let message = error.message();
    let visit = json!({ "mode": "url", "message": message, "url": &*consent.url, "elicitationId": &*consent.id });
    let data = Raw::trusted(json!({ "elicitations": [visit] }).to_string());
    Some(RpcError::new(code::URL_ELICITATION_REQUIRED, message.to_owned()).with_data(data))
}

#[cfg(test)]
mod tests {
    use router_core::{Consent, Kind};

    use super::*;

    #[test]
    fn each_client_is_told_in_the_way_it_can_act_on() {
        let consent = Consent { id: "i".into(), url: "https://as.example/a?b=c".into() };
        let error = Error::new(Kind::Unauthorized, "nobody has signed in to far yet").needs(consent);
        let (can, cannot) = (r#"{"elicitation":{"form":{},"url":{}}}"#, r#"{"elicitation":{}}"#);
        let data = r#"{"elicitations":[{"mode":"url","message":"nobody has signed in to far yet","url":"https://as.example/a?b=c","elicitationId":"i"}]}"#;
        let said = RpcError::new(-32042, "nobody has signed in to far yet").with_data(Raw::trusted(data));
        let table = [
            (Version::Modern, "tools/call", can, true),
            (Version::Modern, "tools/list", can, false),
            (Version::Modern, "tools/call", cannot, false),
            (Version::LastLegacy, "tools/call", can, true),
            (Version::LastLegacy, "tools/call", cannot, false),
            (Version::Elicitation, "tools/call", can, false),
            (Version::First, "tools/call", "{}", false),
        ];
        for (version, method, capabilities, expect) in table {
            let told = visit(&error, method, (version, &Raw::trusted(capabilities)));
            assert_eq!(told, expect.then(|| said.clone()), "{version:?} {method} {capabilities}");
        }
        assert_eq!(visit(&Error::new(Kind::Open, "x"), "tools/call", (Version::Modern, &Raw::trusted(can))), None);
    }
}
