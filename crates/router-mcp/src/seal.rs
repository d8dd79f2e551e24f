//! What we hand out to get it back later (`requestState`): nobody but us can make it, read it, or use it elsewhere.

use std::{fmt, time::Duration};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use router_core::{Caller, Error, Kind, Raw, Result, Scope, Secret};

use crate::{
    fields,
    rpc::{RpcError, code},
};

/// How a configured text becomes a key for this purpose and no other.
const CONTEXT: &str = "mcp-router 2026-11 state that clients bring back";
/// How many bytes of a sealed text say until when it counts.
const EXPIRY_BYTES: usize = 8;
/// What names are made with: the cipher is made for it, and all that a name gives away is that it is the same again.
const NAMES: [u8; NONCE_LEN] = [0; NONCE_LEN];
/// What of the parameters is new in every round, and says nothing about what is asked.
const OF_THE_ROUND: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// Closes and opens sealed texts. Replicas that share a key open one another's.
pub struct Seal {
    key: LessSafeKey,
    clock: Clock,
}

/// Tells the seconds since 1970.
pub type Clock = fn() -> i64;

/// For whom, and for what, a sealed text counts.
pub struct Bound(blake3::Hash);

/// Why a text is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is none of ours, was changed, or was given to somebody else or for something else.
    Foreign,
    /// Its time is over.
    Expired,
}

impl Seal {
    /// A seal with the configured key, or with one that ends with this process.
    pub fn new(key: Option<&Secret<String>>, clock: Clock) -> Result<Self> {
        let broken = |what: &str| Error::new(Kind::Internal, format!("no key to seal with: {what}"));
        let mut bytes = [0; 32];
        match key {
            Some(key) => bytes = blake3::derive_key(CONTEXT, key.expose().as_bytes()),
            None => getrandom::fill(&mut bytes).map_err(|error| broken(&error.to_string()))?,
        }
        // A nonce that comes twice, as may happen over years and replicas, gives nothing away with this cipher.
        let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| broken("the cipher refuses it"))?;
        Ok(Self { key: LessSafeKey::new(key), clock })
    }

    /// Seals `content` for as long as it `lasts`.
    pub fn close(&self, bound: &Bound, lasts: Duration, content: &[u8]) -> Result<String> {
        let expiry = (self.clock)().saturating_add(i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX));
        let broken = || Error::new(Kind::Internal, "nothing can be sealed");
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| broken())?;
        let mut sealed = expiry.to_be_bytes().to_vec();
        sealed.extend_from_slice(content);
        let nonced = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(bound.0.as_bytes());
        self.key.seal_in_place_append_tag(nonced, aad, &mut sealed).map_err(|_| broken())?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what was sealed for the same.
    pub fn open(&self, bound: &Bound, token: &str) -> Result<Vec<u8>, Broken> {
        let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| Broken::Foreign)?;
        let (nonce, sealed) = token.split_at_checked(NONCE_LEN).ok_or(Broken::Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken::Foreign)?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(bound.0.as_bytes()), &mut sealed);
        let (expiry, content) =
            opened.map_err(|_| Broken::Foreign)?.split_first_chunk::<EXPIRY_BYTES>().ok_or(Broken::Foreign)?;
        if i64::from_be_bytes(*expiry) < (self.clock)() {
            return Err(Broken::Expired);
        }
        Ok(content.to_vec())
    }

    /// A name that says `content` to nobody but us, and is the same whenever it is made. It does not expire.
    pub fn name(&self, bound: &Bound, content: &[u8]) -> Result<String> {
        let mut sealed = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(NAMES);
        let closed = self.key.seal_in_place_append_tag(nonce, Aad::from(bound.0.as_bytes()), &mut sealed);
        closed.map_err(|_| Error::new(Kind::Internal, "nothing can be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What a name stands for, when it was made for the same.
    pub fn named(&self, bound: &Bound, name: &str) -> Option<Vec<u8>> {
        let mut sealed = URL_SAFE_NO_PAD.decode(name).ok()?;
        let nonce = Nonce::assume_unique_for_key(NAMES);
        let opened = self.key.open_in_place(nonce, Aad::from(bound.0.as_bytes()), &mut sealed).ok()?;
        Some(opened.to_vec())
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(****)")
    }
}

impl Bound {
    /// To this caller.
    pub fn to_caller(purpose: &str, caller: &Caller) -> Self {
        Self::to_request(purpose, caller, "", None)
    }

    /// To this caller, and to a request that asks the same. What is new in each round of it does not count.
    pub fn to_request(purpose: &str, caller: &Caller, method: &str, params: Option<&Raw>) -> Self {
        let mut bound = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            bound.update(&(part.len() as u64).to_be_bytes());
            bound.update(part);
        };
        let tenant = match &caller.tenant {
            Scope::Tenant(tenant) => tenant.as_bytes(),
            Scope::Shared => b"",
        };
        for part in [purpose.as_bytes(), caller.name.as_bytes(), tenant, method.as_bytes()] {
            add(part);
        }
        let mut members = params.map(fields::entries).unwrap_or_default();
        members.retain(|(key, _)| !OF_THE_ROUND.contains(&key.as_str()));
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (key, value) in &members {
            add(key.as_bytes());
            add(value.bytes());
        }
        Self(bound.finalize())
    }
}

impl From<Broken> for RpcError {
    fn from(broken: Broken) -> Self {
        let message = match broken {
            Broken::Foreign => "`requestState` was not given to this client for this request, or was changed",
            Broken::Expired => "`requestState` has expired: make the request again without it",
        };
        Self::new(code::INVALID_PARAMS, message)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    static NOW: AtomicI64 = AtomicI64::new(1_000_000);

    fn seal(key: Option<&str>) -> Seal {
        let key = key.map(|key| Secret::new(key.to_owned()));
        Seal::new(key.as_ref(), || NOW.load(Ordering::Relaxed)).unwrap()
    }

    fn raw(json: &str) -> Raw {
        Raw::trusted(json.to_owned())
    }

    fn caller(name: &str, tenant: &str) -> Caller {
        Caller { name: name.into(), tenant: Scope::Tenant(tenant.into()), ..Caller::anonymous("r") }
    }

    const TOOL: &str = r#"{"name":"t","arguments":{"a":1}}"#;

    fn bound(purpose: &str, who: &Caller, method: &str, params: &str) -> Bound {
        Bound::to_request(purpose, who, method, Some(&raw(params)))
    }

    #[test]
    fn t_13_no_bit_of_a_state_can_be_changed() {
        let seal = seal(None);
        let mine = bound("p", &caller("a", "a"), "tools/call", TOOL);
        let token = seal.close(&mine, Duration::from_mins(1), b"content").unwrap();
        assert_eq!(seal.open(&mine, &token), Ok(b"content".to_vec()));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(&mine, &URL_SAFE_NO_PAD.encode(changed)), Err(Broken::Foreign), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(seal.open(&mine, &URL_SAFE_NO_PAD.encode(&bytes[..length])), Err(Broken::Foreign), "{length}");
        }
        for text in ["", "!", "AAAA", &format!("{token}="), &format!("{token}A")] {
            assert_eq!(seal.open(&mine, text), Err(Broken::Foreign), "{text:?}");
        }
        assert_eq!(RpcError::from(Broken::Foreign).code, -32602);
    }

    #[test]
    fn t_13_a_state_is_of_no_use_to_another_caller_for_another_request_or_at_another_time() {
        let (one, alice) = (seal(None), caller("alice", "x"));
        let mine = bound("p", &alice, "tools/call", TOOL);
        let token = one.close(&mine, Duration::from_mins(1), b"c").unwrap();
        for (what, other) in [
            ("user", bound("p", &caller("bob", "x"), "tools/call", TOOL)),
            ("tenant", bound("p", &caller("alice", "y"), "tools/call", TOOL)),
            ("purpose", bound("q", &alice, "tools/call", TOOL)),
            ("method", bound("p", &alice, "prompts/get", TOOL)),
            ("tool", bound("p", &alice, "tools/call", r#"{"name":"u","arguments":{"a":1}}"#)),
            ("arguments", bound("p", &alice, "tools/call", r#"{"name":"t","arguments":{"a":2}}"#)),
            ("more", bound("p", &alice, "tools/call", r#"{"name":"t","arguments":{"a":1},"x":0}"#)),
            ("less", Bound::to_request("p", &alice, "tools/call", None)),
        ] {
            assert_eq!(one.open(&other, &token), Err(Broken::Foreign), "another {what}");
        }
        let retry = r#"{"requestState":"s","arguments":{"a":1},"inputResponses":{},"name":"t","_meta":{"k":1}}"#;
        assert!(one.open(&bound("p", &alice, "tools/call", retry), &token).is_ok(), "the next round of the same");
        assert_eq!(seal(None).open(&mine, &token), Err(Broken::Foreign), "another process");
        NOW.fetch_add(61, Ordering::Relaxed);
        assert_eq!(one.open(&mine, &token), Err(Broken::Expired));
        assert_eq!(RpcError::from(Broken::Expired).code, -32602);
    }

    #[test]
    fn t_13_a_name_is_the_same_each_time_and_its_callers_alone() {
        let (seal, alice) = (seal(Some("k1")), caller("alice", "x"));
        let mine = Bound::to_caller("p", &alice);
        let name = seal.name(&mine, b"task 1").unwrap();
        assert_eq!(seal.name(&mine, b"task 1").unwrap(), name);
        assert_ne!(seal.name(&mine, b"task 2").unwrap(), name);
        assert_eq!(seal.named(&mine, &name), Some(b"task 1".to_vec()));
        for other in [
            Bound::to_caller("q", &alice),
            Bound::to_caller("p", &caller("bob", "x")),
            Bound::to_caller("p", &caller("alice", "y")),
        ] {
            assert_eq!(seal.named(&other, &name), None);
            assert_ne!(seal.name(&other, b"task 1").unwrap(), name);
        }
        for text in ["", "AAAA", &name[1..], "task 1"] {
            assert_eq!(seal.named(&mine, text), None, "{text}");
        }
    }

    #[test]
    fn replicas_with_one_key_open_one_anothers_states() {
        let (one, two, other) = (seal(Some("k1")), seal(Some("k1")), seal(Some("k2")));
        let mine = bound("p", &caller("a", "a"), "tools/call", TOOL);
        let token = one.close(&mine, Duration::from_hours(1), b"c").unwrap();
        assert_eq!(two.open(&mine, &token), Ok(b"c".to_vec()));
        assert_eq!(other.open(&mine, &token), Err(Broken::Foreign));
    }
}
