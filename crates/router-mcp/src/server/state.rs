//! `requestState`: what a modern client brings back with his answers. It is ours, sealed; an upstream's is inside of it.

use std::time::Duration;

use router_core::{Cx, Raw};

use super::{Question, Told, failure, peer::lacking};
use crate::{
    fields, rpc,
    rpc::{RpcError, code},
    seal::{Bound, Seal},
};

const PURPOSE: &str = "requestState";
/// How long a state counts: people are asked meanwhile.
const LASTS: Duration = Duration::from_hours(1);

pub(super) const REQUESTS: &str = "inputRequests";
pub(super) const RESPONSES: &str = "inputResponses";
pub(super) const STATE: &str = "requestState";

/// What a state stands for.
#[derive(Debug, PartialEq)]
pub(super) enum State {
    /// The upstream's own state, as it wrote it.
    Upstream(Raw),
    /// A call that waits here for its answers.
    Parked(Ticket),
    /// Nothing but that the request is to be made again.
    Fresh,
}

/// Names a parked call; nobody can guess it.
pub(super) type Ticket = u128;

impl State {
    fn written(&self) -> Vec<u8> {
        match self {
            Self::Upstream(state) => [b"u", &state.bytes()[..]].concat(),
            Self::Parked(ticket) => [&b"p"[..], &ticket.to_be_bytes()].concat(),
            Self::Fresh => b"f".to_vec(),
        }
    }

    fn read(content: &[u8]) -> Option<Self> {
        match content.split_first()? {
            (b'u', state) => Some(Self::Upstream(Raw::trusted(state.to_vec()))),
            (b'p', ticket) => Some(Self::Parked(Ticket::from_be_bytes(ticket.try_into().ok()?))),
            (b'f', []) => Some(Self::Fresh),
            _ => None,
        }
    }

    /// Seals it for the request that it is to come back with.
    pub(super) fn close(&self, seal: &Seal, cx: &Cx, question: &Question) -> Result<Raw, RpcError> {
        let sealed = seal.close(&bound(cx, question), LASTS, &self.written());
        sealed.map(|state| rpc::quoted(&state)).map_err(|error| failure::of(&error, question.version))
    }

    /// What a request brings back; `None` when that is nothing.
    pub(super) fn brought(seal: &Seal, cx: &Cx, question: &Question) -> Result<Option<Self>, RpcError> {
        let Some(params) = &question.params else { return Ok(None) };
        // A quick no, for the many requests that do not hold the word at all.
        if memchr::memmem::find(params.bytes(), STATE.as_bytes()).is_none() {
            return Ok(None);
        }
        let Some(state) = fields::get(params, STATE).filter(|state| state.as_str() != "null") else { return Ok(None) };
        let wrong = || RpcError::new(code::INVALID_PARAMS, "`requestState` has to be a string");
        let content = seal.open(&bound(cx, question), &fields::said(&state).ok_or_else(wrong)?)?;
        Self::read(&content).map(Some).ok_or_else(|| crate::seal::Broken::Foreign.into())
    }
}

fn bound(cx: &Cx, question: &Question) -> Bound {
    Bound::to_request(PURPOSE, cx.caller(), &question.method, question.params.as_ref())
}

impl Question {
    /// Puts the upstream's own state in the place of ours.
    pub(super) fn carry(&mut self, state: &Raw) {
        self.params = self.params.as_ref().map(|params| fields::with_field(params, STATE, state));
    }

    /// Forgets the rounds before this one.
    pub(super) fn begin_anew(&mut self) {
        self.params = self.params.as_ref().map(|params| fields::without_fields(params, &[STATE, RESPONSES]));
    }
}

/// The result that asks `requests` (each under its key) before there is another.
pub(super) fn input_required(requests: &Raw, state: &Raw) -> Told {
    let step = Raw::trusted("\"input_required\"");
    let result = fields::with_fields(&fields::empty(), &[("resultType", &step), (REQUESTS, requests), (STATE, state)]);
    Told { is_interim: true, ..Told::from(result) }
}

/// One of the requests in it.
pub(super) fn input_request(method: &str, params: &Raw) -> Raw {
    // A modern client never hears that a visit is over, which is all that this id is for.
    let params = fields::without_field(params, "elicitationId");
    fields::with_fields(&fields::empty(), &[("method", &rpc::quoted(method)), ("params", &params)])
}

/// An upstream's step towards its result, with its state inside ours.
pub(super) fn wrapped(seal: &Seal, cx: &Cx, question: &Question, told: Told) -> Result<Told, RpcError> {
    let Some(state) = fields::get(&told.result, STATE) else { return Ok(told) };
    let sealed = State::Upstream(state).close(seal, cx, question)?;
    Ok(Told { result: fields::with_field(&told.result, STATE, &sealed), ..told })
}

/// A legacy server's word that addresses have to be visited first, as a modern client understands it.
pub(super) fn visits(seal: &Seal, cx: &Cx, question: &Question, error: &RpcError) -> Result<Told, RpcError> {
    let data = error.data.clone().unwrap_or_else(fields::empty);
    let visits = fields::get(&data, "elicitations").map(|list| fields::elements(&list)).unwrap_or_default();
    if visits.is_empty() {
        return Err(error.clone().with_code(code::INVALID_PARAMS));
    }
    let mode = Raw::trusted("\"url\"");
    let visits: Vec<_> = visits.iter().map(|visit| fields::with_field(visit, "mode", &mode)).collect();
    let capabilities = question.meta.capabilities.clone().unwrap_or_else(fields::empty);
    if visits.iter().any(|visit| lacking(&capabilities, "elicitation/create", visit).is_some()) {
        let mut lacking = failure::lacking(&["elicitation.url"]);
        lacking.message = format!("{}: {}", error.message, lacking.message);
        return Err(lacking);
    }
    let requests = visits.iter().enumerate().map(|(place, visit)| ((place + 1).to_string(), visit));
    let requests: Vec<_> = requests.map(|(key, visit)| (key, input_request("elicitation/create", visit))).collect();
    Ok(input_required(&keyed(&requests), &State::Fresh.close(seal, cx, question)?))
}

/// An object of these members.
pub(super) fn keyed(members: &[(String, Raw)]) -> Raw {
    let members: Vec<_> = members.iter().map(|(key, value)| (key.as_str(), value)).collect();
    fields::with_fields(&fields::empty(), &members)
}
