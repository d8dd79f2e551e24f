//! Proof of a client by its key: `private_key_jwt` (RFC 7523, OpenID Connect Core section 9).

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use router_core::{Error, Kind, Result, Secret};
use serde_json::json;
use zeroize::Zeroizing;

use super::flow::random;

/// What kind of assertion it is.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long one is good, in seconds: it is used at once.
const GOOD_FOR: i64 = 60;

/// A key of one of the three kinds that are in use.
enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// Says, signed with `key`, that we are `client`, to `issuer` and nobody else.
pub(super) fn sign(client: &str, issuer: &str, key: &Secret<String>, now: i64) -> Result<String> {
    let signer = Signer::read(key)?;
    let header = json!({ "alg": signer.algorithm(), "typ": "JWT" });
    let claims = json!({
        "iss": client, "sub": client, "aud": issuer, "jti": random()?, "iat": now, "exp": now.saturating_add(GOOD_FOR),
    });
    let text = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
    let signature =
        signer.sign(text.as_bytes()).ok_or_else(|| Error::new(Kind::Internal, "the client's key did not sign"))?;
    Ok(format!("{text}.{}", part(signature)))
}

/// Whether `key` is one that can sign.
pub fn is_key(key: &Secret<String>) -> bool {
    Signer::read(key).is_ok()
}

impl Signer {
    /// Reads a key in PKCS#8, as PEM.
    fn read(key: &Secret<String>) -> Result<Self> {
        let unreadable = || {
            Error::new(Kind::Invalid, "the client's private key cannot be read")
                .hint("give an EC P-256, RSA or Ed25519 key in PKCS#8: -----BEGIN PRIVATE KEY-----")
        };
        let lines = key.expose().lines().map(str::trim);
        let body: String = lines
            .skip_while(|line| *line != "-----BEGIN PRIVATE KEY-----")
            .skip(1)
            .take_while(|line| *line != "-----END PRIVATE KEY-----")
            .collect();
        let body = Zeroizing::new(body);
        let key = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| unreadable())?);
        let ec = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).ok().map(Self::Ec);
        let rsa = || RsaKeyPair::from_pkcs8(&key).ok().map(Self::Rsa);
        let ed = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key).ok().map(Self::Ed);
        ec().or_else(rsa).or_else(ed).ok_or_else(unreadable)
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_) => "ES256",
            Self::Rsa(_) => "RS256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(key) => key.sign(&random, text).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ed(key) => Some(key.sign(text).as_ref().to_vec()),
        }
    }
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::AsDer,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED, ED25519, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
            VerificationAlgorithm,
        },
    };
    use serde_json::Value;

    use super::*;

    fn pem(key: &[u8]) -> Secret<String> {
        Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key)))
    }

    /// The name of its algorithm, the key, its public half, and what checks with that.
    type Key = (&'static str, Secret<String>, Vec<u8>, &'static dyn VerificationAlgorithm);

    #[test]
    fn each_kind_of_key_signs_what_is_said() {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let ed = Ed25519KeyPair::generate().unwrap();
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let keys: [Key; 3] = [
            (
                "ES256",
                pem(ec.to_pkcs8v1().unwrap().as_ref()),
                ec.public_key().as_ref().to_vec(),
                &ECDSA_P256_SHA256_FIXED,
            ),
            ("EdDSA", pem(ed.to_pkcs8().unwrap().as_ref()), ed.public_key().as_ref().to_vec(), &ED25519),
            (
                "RS256",
                pem(rsa.as_der().unwrap().as_ref()),
                rsa.public_key().as_ref().to_vec(),
                &RSA_PKCS1_2048_8192_SHA256,
            ),
        ];
        for (algorithm, key, public, verifier) in keys {
            let signed = sign("me", "https://as.example", &key, 1_000).unwrap();
            let (text, signature) = signed.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            UnparsedPublicKey::new(verifier, public).verify(text.as_bytes(), &signature).unwrap();
            let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
            let (header, claims) = text.split_once('.').unwrap();
            let (header, mut claims) = (read(header), read(claims));
            assert_eq!(header, json!({ "alg": algorithm, "typ": "JWT" }));
            assert_eq!(claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len(), 43);
            assert_eq!(
                claims,
                json!({ "iss": "me", "sub": "me", "aud": "https://as.example", "iat": 1_000, "exp": 1_060 })
            );
        }
    }

    #[test]
    fn what_is_no_key_is_said_not_to_be_one() {
        for text in ["", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
        {
            assert!(!is_key(&Secret::new(text.to_owned())), "{text:?}");
        }
    }
}
