//! How we sign in to servers, and where people and questions go for it.

use router_core::Secret;
use router_mcp::{
    egress::{Exempt, Place},
    oauth::{self, GrantKind, Per, Scopes, Terms},
};

use super::{
    super::{
        address::Address,
        auth::{Auth, AuthFile, AuthType, EgressFile, GrantWord, PerWord},
        leaf::{Hidden, Link, Text},
        problem::At,
        read::{Map, Spanned},
    },
    Build,
    servers::texts,
};

impl Build<'_> {
    /// How we sign in. A server at an address is signed in to when it asks for that, unless the configuration shows it
    /// a credential already, or says `none`.
    pub(super) fn auth(
        &mut self,
        file: Option<Spanned<Auth>>,
        called: bool,
        headers: Option<&Spanned<Map<Hidden>>>,
    ) -> Option<Terms> {
        let shown =
            headers.and_then(|headers| headers.0.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")));
        let Some(Spanned { value: Auth(file), at }) = file else {
            return (called && shown.is_none()).then(Terms::default);
        };
        if !called {
            self.findings.warning(&at, "this has no effect: the server is started, not called");
            return None;
        }
        let kind = file.kind.as_ref().map_or(AuthType::OAuth, |kind| kind.value);
        if kind == AuthType::None {
            return None;
        }
        if let Some((name, _)) = shown {
            let finding = self.findings.problem(&name.at, "the server is signed in to, and shown this credential, too");
            finding.remedy("keep the header or auth");
        }
        Some(self.terms(file, &at))
    }

    fn terms(&mut self, file: AuthFile, at: &At) -> Terms {
        let AuthFile { client_id, client_secret, private_key, issuer, scopes, grant, per, .. } = file;
        let grant = grant.map_or(GrantWord::AuthorizationCode, |grant| grant.value);
        let whose = per.as_ref().map_or(PerWord::Shared, |per| per.value);
        let proof = client_secret.as_ref().map(|secret| &secret.at).or(private_key.as_ref().map(|key| &key.at));
        if let (Some(_), Some(key)) = (&client_secret, &private_key) {
            self.findings.problem(&key.at, "there is a client_secret, too").remedy("keep one");
        }
        if let (None, Some(proof)) = (&client_id, proof) {
            self.findings.problem(proof, "this proves nothing without a name").remedy("add client_id");
        }
        if grant == GrantWord::ClientCredentials {
            if client_id.is_none() || proof.is_none() {
                let finding = self.findings.problem(at, "client_credentials needs what the router is known by");
                finding.remedy("add client_id, and client_secret or private_key");
            }
            if let Some(per) = per.filter(|per| per.value == PerWord::Caller) {
                self.findings.problem(&per.at, "nobody signs in with client_credentials").remedy("write per: shared");
            }
        }
        Terms {
            client_id: client_id.map(|id| id.value.0),
            client_secret: client_secret.map(|secret| secret.value.0),
            private_key: private_key.and_then(|key| self.private_key(key)),
            issuer: issuer.and_then(|issuer| self.issuer(issuer)),
            scopes: scopes.map(|scopes| scopes_of(Some(scopes))),
            grant: match grant {
                GrantWord::AuthorizationCode => GrantKind::AuthorizationCode,
                GrantWord::ClientCredentials => GrantKind::ClientCredentials,
            },
            per: match whose {
                PerWord::Shared => Per::Shared,
                PerWord::Caller => Per::Caller,
            },
        }
    }

    fn private_key(&mut self, Spanned { value: Hidden(key), at }: Spanned<Hidden>) -> Option<Secret<String>> {
        if oauth::is_key(&key) {
            return Some(key);
        }
        let finding = self.findings.problem(&at, "this is not a private key that can be read");
        finding.remedy("give an EC P-256, RSA or Ed25519 key in PKCS#8: openssl pkcs8 -topk8 -nocrypt -in KEY");
        None
    }

    /// Byte for byte as its owner writes it: it is compared, not called.
    fn issuer(&mut self, Spanned { value: Text(issuer), at }: Spanned<Text>) -> Option<String> {
        match Place::read(&issuer) {
            Ok(_) => Some(issuer),
            Err(why) => {
                self.findings.problem(&at, format!("\"{issuer}\" {why}")).remedy("write \"https://HOST/PATH\"");
                None
            }
        }
    }

    /// The address of us that others know. A code that comes back to it must not be seen on its way.
    pub(super) fn public_url(&mut self, file: Option<Spanned<Link>>) -> Option<Address> {
        let Spanned { value: Link(url), at } = file?;
        if url.is_encrypted() || url.is_loopback() {
            return Some(url);
        }
        self.findings
            .problem(&at, "what comes to this address can be read on its way")
            .remedy("write \"https://HOST\"");
        None
    }

    pub(super) fn allow_private(&mut self, file: Option<Spanned<EgressFile>>) -> Vec<Exempt> {
        let list = file.and_then(|file| file.value.allow_private);
        let mut exempt = Vec::new();
        for Spanned { value: Text(text), at } in list.into_iter().flat_map(|list| list.value) {
            match text.parse() {
                Ok(one) => exempt.push(one),
                Err(()) => {
                    let finding =
                        self.findings.problem(&at, format!("\"{text}\" is neither a host nor a range of addresses"));
                    finding.remedy("write \"auth.corp.example\" or \"10.0.0.0/8\"");
                }
            }
        }
        exempt
    }
}

/// The origin of an address, as browsers write it.
pub(super) fn origin(address: &Address) -> Option<String> {
    Place::read(&address.to_string()).ok().map(|place| place.origin())
}

fn scopes_of(list: Option<Spanned<Vec<Spanned<Text>>>>) -> Scopes {
    let words: Vec<String> = texts(list).collect();
    Scopes::from_words(words.iter().flat_map(|words| words.split(' ')))
}
