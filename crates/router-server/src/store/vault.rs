//! What must survive a restart and nobody may read: one sealed file for each value, in a folder of our own.

use std::{
    fs::Permissions,
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use fs_err as fs;
use parking_lot::Mutex;
use router_core::{Error, Kind, Result, Secret, Store, StoreKey};

use crate::clock;

/// What a file begins with: who wrote it, and in which form.
const MAGIC: [u8; 4] = *b"mcv1";
/// How many bytes of a file tell until when it counts.
const UNTIL: usize = 8;
/// The key that was made for this folder.
const KEY_FILE: &str = "key";
const CONTEXT: &str = "mcp-router 2026-11 values at rest";

/// A folder of sealed values. It is made when the first one is put there.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    secret: Option<Secret<String>>,
    /// Known once it was needed.
    key: Mutex<Option<Arc<LessSafeKey>>>,
}

impl Vault {
    /// The values in `folder`, sealed with `secret`, or with a key that lies beside them.
    pub fn new(folder: PathBuf, secret: Option<Secret<String>>) -> Self {
        Self(Arc::new(Inner { folder, secret, key: Mutex::default() }))
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let failed = |error: io::Error| {
            let message = format!("what has to be kept in {} cannot be: {error}", self.0.folder.display());
            Error::new(Kind::Internal, message).hint("see that the router may write there, or set `state`")
        };
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.map_err(io::Error::other).and_then(std::convert::identity).map_err(failed)
    }
}

impl Inner {
    /// The key; `None` when there is none yet, and none is to be made.
    fn key(&self, make: bool) -> io::Result<Option<Arc<LessSafeKey>>> {
        let mut known = self.key.lock();
        if let Some(key) = &*known {
            return Ok(Some(Arc::clone(key)));
        }
        let bytes = match &self.secret {
            Some(secret) => blake3::derive_key(CONTEXT, secret.expose().as_bytes()),
            None => match read_key(&self.folder.join(KEY_FILE))? {
                Some(bytes) => bytes,
                None if make => make_key(&self.folder)?,
                None => return Ok(None),
            },
        };
        let key =
            UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| io::Error::other("the cipher refuses the key"))?;
        let key = Arc::new(LessSafeKey::new(key));
        *known = Some(Arc::clone(&key));
        Ok(Some(key))
    }

    fn get(&self, key: &StoreKey) -> io::Result<Option<Bytes>> {
        let Some(file) = unless_missing(fs::read(self.place(key)))? else { return Ok(None) };
        let Some(seal) = self.key(false)? else { return Ok(None) };
        // What cannot be opened was sealed with another key, or tampered with: it is as good as nothing.
        Ok(open(&seal, key, &file).map(Bytes::from))
    }

    fn put(&self, key: &StoreKey, value: &[u8], keep: Duration) -> io::Result<()> {
        make_folder(&self.folder)?;
        let seal = self.key(true)?.ok_or_else(|| io::Error::other("there is no key"))?;
        self.sweep()?;
        let until = clock::unix_seconds().saturating_add(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX));
        let file = close(&seal, key, until, value)?;
        let place = self.place(key);
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let draft = place.with_extension(format!("{:016x}.new", u64::from_le_bytes(nonce)));
        write_new(&draft, &file)?;
        fs::rename(&draft, &place)
    }

    fn remove(&self, key: &StoreKey) -> io::Result<()> {
        unless_missing(fs::remove_file(self.place(key))).map(drop)
    }

    /// Takes away what is over.
    fn sweep(&self) -> io::Result<()> {
        let now = clock::unix_seconds();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "sealed") {
                continue;
            }
            if let Some(file) = unless_missing(fs::read(&path))?
                && until(&file).is_some_and(|until| until <= now)
            {
                unless_missing(fs::remove_file(&path))?;
            }
        }
        Ok(())
    }

    /// Names of files tell nothing of what is in them.
    fn place(&self, key: &StoreKey) -> PathBuf {
        self.folder.join(format!("{}.sealed", blake3::hash(key.as_str().as_bytes()).to_hex()))
    }
}

impl Store for Vault {
    async fn get(&self, key: &StoreKey) -> Result<Option<Bytes>> {
        let key = key.clone();
        self.with(move |inner| inner.get(&key)).await
    }

    async fn put(&self, key: StoreKey, value: Bytes, keep: Duration) -> Result<()> {
        self.with(move |inner| inner.put(&key, &value, keep)).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<()> {
        let key = key.clone();
        self.with(move |inner| inner.remove(&key)).await
    }
}

/// A file: the magic, until when it counts, a nonce, what is sealed. It can stand nowhere else, and count no longer.
fn close(seal: &LessSafeKey, key: &StoreKey, until: i64, value: &[u8]) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(io::Error::other)?;
    let mut sealed = value.to_vec();
    let bound = Aad::from(bound(key, until));
    seal.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed)
        .map_err(|_| io::Error::other("nothing can be sealed"))?;
    Ok([&MAGIC[..], &until.to_le_bytes(), &nonce, &sealed].concat())
}

fn open(seal: &LessSafeKey, key: &StoreKey, file: &[u8]) -> Option<Vec<u8>> {
    let until = until(file).filter(|until| *until > clock::unix_seconds())?;
    let (nonce, sealed) = file.get(MAGIC.len() + UNTIL..)?.split_first_chunk::<NONCE_LEN>()?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    seal.open_in_place(nonce, Aad::from(bound(key, until)), &mut sealed).ok().map(|value| value.to_vec())
}

fn until(file: &[u8]) -> Option<i64> {
    file.strip_prefix(&MAGIC)?.first_chunk::<UNTIL>().map(|until| i64::from_le_bytes(*until))
}

fn bound(key: &StoreKey, until: i64) -> Vec<u8> {
    [&until.to_le_bytes()[..], key.as_str().as_bytes()].concat()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

fn read_key(place: &Path) -> io::Result<Option<[u8; 32]>> {
    let Some(bytes) = unless_missing(fs::read(place))? else { return Ok(None) };
    let whole = || io::Error::new(ErrorKind::InvalidData, format!("{} is not a key of ours", place.display()));
    bytes.try_into().map(Some).map_err(|_| whole())
}

/// Makes the key of a folder; of two processes that do, one does, and the other takes that.
fn make_key(folder: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let place = folder.join(KEY_FILE);
    let draft = folder.join(format!("{KEY_FILE}.{}.new", std::process::id()));
    unless_missing(fs::remove_file(&draft))?;
    write_new(&draft, &key)?;
    let linked = fs::hard_link(&draft, &place);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            read_key(&place)?.ok_or_else(|| io::Error::other("the key is gone again"))
        }
        Err(error) => Err(error),
    }
}

/// A file that only we may read, whole on the disk.
fn write_new(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn unless_missing<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use router_core::Scope;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn key(name: &str) -> StoreKey {
        StoreKey::new(&Scope::Shared, "test", name)
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn a_value_survives_and_nobody_else_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("state/oauth");
        let vault = Vault::new(folder.clone(), None);
        assert_eq!(vault.get(&key("a")).await.unwrap(), None);
        assert!(!folder.exists(), "reading makes nothing");
        vault.put(key("a"), Bytes::from_static(b"canary"), HOUR).await.unwrap();
        vault.put(key("a"), Bytes::from_static(b"canary-2"), HOUR).await.unwrap();
        let again = Vault::new(folder.clone(), None);
        assert_eq!(again.get(&key("a")).await.unwrap().as_deref(), Some(&b"canary-2"[..]));
        let found = files(&folder);
        assert_eq!(found.len(), 2, "{found:?}");
        for file in &found {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
            let bytes = fs::read(file).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        again.remove(&key("a")).await.unwrap();
        again.remove(&key("a")).await.unwrap();
        assert_eq!(vault.get(&key("a")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_moved_changed_or_sealed_otherwise_is_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_owned();
        let vault = Vault::new(folder.clone(), Some(Secret::new("one".to_owned())));
        vault.put(key("a"), Bytes::from_static(b"1"), HOUR).await.unwrap();
        let other = Vault::new(folder.clone(), Some(Secret::new("two".to_owned())));
        assert_eq!(other.get(&key("a")).await.unwrap(), None);
        let (a, b) = (vault.0.place(&key("a")), vault.0.place(&key("b")));
        fs::copy(&a, &b).unwrap();
        assert_eq!(vault.get(&key("b")).await.unwrap(), None, "moved");
        let whole = fs::read(&a).unwrap();
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            fs::write(&a, &bent).unwrap();
            assert_eq!(vault.get(&key("a")).await.unwrap(), None, "byte {at}");
        }
        for cut in 0..whole.len() {
            fs::write(&a, &whole[..cut]).unwrap();
            assert_eq!(vault.get(&key("a")).await.unwrap(), None, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn what_is_over_goes() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::new(home.path().to_owned(), None);
        vault.put(key("over"), Bytes::from_static(b"1"), Duration::ZERO).await.unwrap();
        assert_eq!(vault.get(&key("over")).await.unwrap(), None);
        vault.put(key("new"), Bytes::from_static(b"2"), HOUR).await.unwrap();
        assert!(!vault.0.place(&key("over")).exists());
        assert!(vault.get(&key("new")).await.unwrap().is_some());
    }
}
