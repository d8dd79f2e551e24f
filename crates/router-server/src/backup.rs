//! What the operator keeps for bad days: a file, or a folder that is searched by the words of the question.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use fs_err::tokio as fs;
use router_core::{Cx, Error, Kind, Query, Result, Upstream};

/// Bytes that are read of one file.
const FILE_BYTES: u64 = 1 << 20;
/// Files of a folder that are looked at.
const FILES: usize = 1_000;
/// Passages that are told.
const PASSAGES: usize = 5;
/// The kinds of files that hold text worth searching.
const TEXTS: [&str; 6] = ["md", "txt", "yaml", "yml", "json", "html"];

/// A file or folder that answers in place of an upstream.
pub struct Backup {
    path: PathBuf,
}

impl Backup {
    /// The backup at `path`. It is read when it is needed, so that it can be renewed at any time.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    async fn text(&self, words: &str) -> Result<String> {
        let unread = |error: std::io::Error| Error::new(Kind::Unavailable, "the backup cannot be read").because(error);
        let about = fs::metadata(&self.path).await.map_err(unread)?;
        if about.is_dir() {
            search(&self.path, words).await.map_err(unread)
        } else {
            read(&self.path).await.map_err(unread)
        }
    }
}

impl<Q: Query> Upstream<Q> for Backup {
    async fn call(&self, _: &Cx, query: Q) -> Result<Q::Reply> {
        let text = self.text(&query.words()).await?;
        if text.is_empty() {
            return Err(Error::new(Kind::Unavailable, "the backup holds nothing about this"));
        }
        query.say(&text).ok_or_else(|| Error::new(Kind::Unavailable, "a text is no answer to this question"))
    }
}

async fn read(path: &Path) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt;
    let mut text = Vec::new();
    fs::File::open(path).await?.take(FILE_BYTES).read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The passages of the folder's texts that hold most of the words, best first.
async fn search(folder: &Path, words: &str) -> std::io::Result<String> {
    let words = words_of(words);
    let mut found: Vec<(usize, String)> = Vec::new();
    for path in texts(folder).await? {
        let text = read(&path).await?;
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        for passage in text.split("\n\n").map(str::trim).filter(|passage| !passage.is_empty()) {
            let hits = words_of(passage).intersection(&words).count();
            if hits > 0 {
                found.push((hits, format!("{name}:\n{passage}")));
            }
        }
    }
    found.sort_by(|(one, first), (other, second)| other.cmp(one).then_with(|| first.cmp(second)));
    Ok(found.into_iter().take(PASSAGES).map(|(_, passage)| passage).collect::<Vec<_>>().join("\n\n"))
}

/// The texts below a folder, in a stable order. Links are not followed: a backup is what lies in it.
async fn texts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut folders, mut texts) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let (path, kind) = (entry.path(), entry.file_type().await?);
            let is_text = path.extension().and_then(|end| end.to_str()).is_some_and(|end| TEXTS.contains(&end));
            if kind.is_dir() && folders.len() < FILES {
                folders.push(path);
            } else if kind.is_file() && is_text && texts.len() < FILES {
                texts.push(path);
            }
        }
    }
    texts.sort();
    Ok(texts)
}

fn words_of(text: &str) -> HashSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.chars().count() > 2);
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use router_core::{Caller, Raw, tool::ToolCall};

    use super::*;

    async fn answer(path: &Path, arguments: &'static str) -> Result<String, Kind> {
        let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(1));
        let call = ToolCall::new("search", Some(Raw::trusted(arguments)));
        let answer = Backup::new(path.to_owned()).call(&cx, call).await.map_err(|error| error.kind())?;
        let result: serde_json::Value = answer.result.decode().expect("JSON");
        Ok(result["content"][0]["text"].as_str().expect("a text").to_owned())
    }

    #[tokio::test]
    async fn a_folder_is_searched_by_the_words_of_the_question() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.md"), "Deploying on Fridays.\n\nRollback needs two people.").expect("a");
        std::fs::write(folder.path().join("b.md"), "The rollback of a deploy.").expect("b");
        std::fs::write(folder.path().join("c.bin"), "rollback").expect("c");
        let said = answer(folder.path(), r#"{"query": "rollback people"}"#).await;
        assert_eq!(said, Ok("a.md:\nRollback needs two people.\n\nb.md:\nThe rollback of a deploy.".to_owned()));
        assert_eq!(answer(folder.path(), r#"{"query": "holiday"}"#).await, Err(Kind::Unavailable));
    }

    #[tokio::test]
    async fn a_file_is_told_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rules.txt");
        std::fs::write(&file, "Be kind.").expect("written");
        assert_eq!(answer(&file, "{}").await, Ok("Be kind.".to_owned()));
        assert_eq!(answer(&folder.path().join("gone"), "{}").await, Err(Kind::Unavailable));
    }
}
