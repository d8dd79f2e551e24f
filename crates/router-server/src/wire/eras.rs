//! What each MCP server spoke when it was last met, remembered over restarts: it is asked that first.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use router_mcp::client::{Era, Protocol, Reach, ServerSpec};
use serde::{Deserialize, Serialize};

use crate::{clock, store};

/// After this long a server is asked anew: it may have learnt the newer era meanwhile.
const GOOD_FOR_SECONDS: i64 = 24 * 60 * 60;

/// The eras of all servers, in one small file of the state folder.
#[derive(Clone)]
pub(super) struct Eras {
    path: Arc<PathBuf>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Known {
    /// Of what makes the server what it is: another command or address is another server.
    server: String,
    era: String,
    /// Seconds since 1970.
    met: i64,
}

impl Eras {
    /// What is remembered in the folder; nothing where it cannot be read.
    pub(super) fn at(state: &Path) -> Self {
        let path = state.join("eras.json");
        let known = fs_err::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { path: Arc::new(path), known: Arc::new(Mutex::new(known)) }
    }

    /// The same server, which is spoken to in the words it knows, and whose words are remembered.
    pub(super) fn remembered(&self, spec: ServerSpec) -> ServerSpec {
        if spec.protocol != Protocol::Auto {
            return spec;
        }
        let (eras, name, server) = (self.clone(), spec.name.to_string(), identity(&spec.reach));
        let era = self.of(&name, &server);
        ServerSpec { era, on_era: Arc::new(move |era| eras.learn(&name, &server, era)), ..spec }
    }

    fn of(&self, name: &str, server: &str) -> Option<Era> {
        let known = self.known.lock();
        let known = known.get(name).filter(|known| known.server == server)?;
        let fresh = clock::unix_seconds().saturating_sub(known.met) < GOOD_FOR_SECONDS;
        [Era::Legacy, Era::Modern].into_iter().find(|era| fresh && era.as_str() == known.era)
    }

    fn learn(&self, name: &str, server: &str, era: Era) {
        if self.of(name, server) == Some(era) {
            return;
        }
        let mut known = self.known.lock();
        let entry = Known { server: server.to_owned(), era: era.as_str().to_owned(), met: clock::unix_seconds() };
        known.insert(name.to_owned(), entry);
        let written = serde_json::to_vec_pretty(&*known).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|text| store::replace(&self.path, &text)) {
            tracing::debug!(%error, "what servers speak is not remembered over a restart");
        }
    }
}

/// A hash, because what is hashed may hold secrets.
fn identity(reach: &Reach) -> String {
    let mut hash = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    };
    match reach {
        Reach::Program(program) => {
            add(program.command.as_bytes());
            program.args.iter().for_each(|arg| add(arg.as_bytes()));
        }
        Reach::Http(endpoint) => add(endpoint.url.to_string().as_bytes()),
        Reach::Absent(_) => {}
    }
    hash.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use router_mcp::client::Program;

    use super::*;

    fn spec(command: &str) -> ServerSpec {
        let program = Program { command: command.into(), args: Vec::new(), env: Vec::new(), cwd: None };
        ServerSpec::new("s", Reach::Program(program))
    }

    #[test]
    fn an_era_is_remembered_for_this_very_server() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("not/there/yet");
        let first = Eras::at(&state).remembered(spec("a"));
        assert_eq!(first.era, None);
        (first.on_era)(Era::Legacy);
        for (asked, expected) in [
            (spec("a"), Some(Era::Legacy)),
            (spec("b"), None),
            (ServerSpec { name: "t".into(), ..spec("a") }, None),
            (ServerSpec { protocol: Protocol::Modern, ..spec("a") }, None),
        ] {
            assert_eq!(Eras::at(&state).remembered(asked).era, expected);
        }
        fs_err::write(state.join("eras.json"), "garbage").unwrap();
        assert_eq!(Eras::at(&state).remembered(spec("a")).era, None);
    }
}
