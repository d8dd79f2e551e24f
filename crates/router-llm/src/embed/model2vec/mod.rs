//! Models of the model2vec kind: a vector for each token, whose mean is the vector of a text. They run in this process and
//! need no network.
//!
//! The format and its arithmetic are those of <https://github.com/MinishLab/model2vec>; a text is never cut, as a mean
//! has no window.

mod pool;

use std::sync::Arc;

use router_core::{
    Cx, Error, Kind, Name, Outcome, Reply, Result, Upstream,
    chat::{Chat, ChatReply, Losses, Usage},
    embed::{Embed, Texts, Vectors},
};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

pub use pool::{Files, StaticModel};

/// Reads the files of a model, wherever they are kept.
type Read = dyn Fn() -> std::io::Result<Files> + Send + Sync;

/// A provider whose one model is in a folder. It is read when it is first asked.
pub struct Model2Vec {
    name: Name,
    read: Arc<Read>,
    model: OnceCell<Arc<StaticModel>>,
    tasks: TaskTracker,
}

impl Model2Vec {
    /// The provider `name`, whose model `read` reads; `tasks` runs what takes long.
    pub fn new(
        name: Name,
        read: impl Fn() -> std::io::Result<Files> + Send + Sync + 'static,
        tasks: TaskTracker,
    ) -> Self {
        Self { name, read: Arc::new(read), model: OnceCell::new(), tasks }
    }

    /// The model, read once; a call that is given up meanwhile leaves that to the next.
    async fn model(&self) -> Result<Arc<StaticModel>> {
        let read = || async {
            let read = Arc::clone(&self.read);
            let model = self.apart(move || StaticModel::read(&read().map_err(|error| unread(&error))?)).await?;
            Ok(Arc::new(model))
        };
        self.model.get_or_try_init(read).await.map(Arc::clone)
    }

    /// Does what takes long away from the threads that serve requests.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let done = self.tasks.spawn_blocking(work).await;
        done.map_err(|error| Error::new(Kind::Internal, "the model's work was cut short").because(error))?
    }

    async fn vectors(&self, query: &Embed) -> Result<Vectors> {
        let texts = query.texts()?;
        let dropped = foreign(&texts);
        let model = self.model().await?;
        let width = width(&texts, &model)?;
        let (matrix, tokens) = self.apart(move || model.embed(&texts.inputs, width)).await?;
        let mut vectors = Vectors::of(matrix, Usage { input: tokens, ..Usage::default() });
        let provenance = vectors.provenance_mut();
        (provenance.upstream, provenance.model) = (Some(Arc::clone(&self.name)), Some(Arc::clone(&query.model)));
        provenance.dropped = dropped;
        Ok(vectors)
    }
}

/// What a question says to other upstreams.
fn foreign(texts: &Texts) -> Losses {
    let mut losses = Losses::default();
    texts.extra.keys().for_each(|name| losses.note(name.clone()));
    losses
}

/// How long the vectors become: the first numbers of such a model's vectors say most, so they may be cut.
fn width(texts: &Texts, model: &StaticModel) -> Result<usize> {
    let Some(dimensions) = texts.dimensions else { return Ok(model.width()) };
    usize::try_from(dimensions).ok().filter(|width| (1..=model.width()).contains(width)).ok_or_else(|| {
        let message = format!("dimensions: {dimensions} are not to be had, the model has {}", model.width());
        Error::new(Kind::Invalid, message)
    })
}

fn unread(error: &std::io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("the model cannot be read: {error}"))
        .outcome_is(Outcome::NotSent)
        .hint("see that `path` of the provider leads to a model2vec folder")
}

impl Upstream<Embed> for Model2Vec {
    async fn call(&self, _: &Cx, query: Embed) -> Result<Vectors> {
        self.vectors(&query).await.map_err(|error| error.at(&self.name))
    }
}

impl Upstream<Chat> for Model2Vec {
    async fn call(&self, _: &Cx, _: Chat) -> Result<ChatReply> {
        let error = Error::new(Kind::NotFound, "its model turns texts into vectors and answers no chats");
        Err(error.hint("ask it at /v1/embeddings").at(&self.name))
    }
}

impl std::fmt::Debug for Model2Vec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model2Vec").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
