//! Answers that keep to a JSON schema, of models that cannot be told to: they are instructed, checked, and asked once more.

mod find;
mod instruct;
mod reply;
mod schema;

use router_core::{
    Cx, Error, Kind, Outcome, Result, Upstream,
    chat::{Chat, ChatReply, Format, Usage},
};

use self::reply::Answer;
pub use self::schema::{Found, Schema};

/// The layer around a provider. A question that asks for no schema, or a model that keeps to one by itself, passes
/// untouched.
pub struct Structured<U> {
    inner: U,
    /// Whether a model cannot be told to keep to a schema.
    lacks: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// How often a model is asked again whose answer does not keep to the schema.
    retries: u32,
}

impl<U> Structured<U> {
    /// The layer around `inner`, for the models that `lacks` names.
    pub fn new(inner: U, retries: u32, lacks: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { inner, lacks: Box::new(lacks), retries }
    }
}

impl<U: Upstream<Chat>> Upstream<Chat> for Structured<U> {
    async fn call(&self, cx: &Cx, chat: Chat) -> Result<ChatReply> {
        if chat.needs.schema && (self.lacks)(&chat.model) {
            // A future of its own, so that those who pass do not carry its size.
            return Box::pin(self.hold(cx, chat)).await;
        }
        self.inner.call(cx, chat).await
    }
}

impl<U: Upstream<Chat>> Structured<U> {
    async fn hold(&self, cx: &Cx, mut chat: Chat) -> Result<ChatReply> {
        let prompt = chat.prompt()?;
        let Some(Format::JsonSchema { schema, .. }) = &prompt.format else {
            return self.inner.call(cx, chat).await;
        };
        let schema = Schema::read(schema).map_err(|why| refused(&why))?;
        chat.change(|prompt| instruct::tell(prompt, &schema))?;
        let (mut spent, mut asked) = (Usage::default(), 1);
        loop {
            let reply = self.inner.call(cx, chat.clone()).await?;
            let answer = cx.wait(Answer::read(reply)).await??;
            let misfit = match answer.held_to(&schema) {
                Ok(answer) => return Ok(answer.told(spent)),
                Err(misfit) => misfit,
            };
            if asked > self.retries {
                let error = unkept(&chat.model, asked, &misfit.why);
                return Err(misfit.upstream.iter().fold(error, Error::at));
            }
            asked += 1;
            spent = spent + misfit.usage;
            chat.change(|prompt| instruct::correct(prompt, &misfit.said, &misfit.why))?;
        }
    }
}

fn refused(why: &str) -> Error {
    Error::new(Kind::Invalid, format!("the schema of the answer is no JSON Schema: {why}"))
}

/// Another candidate may do better, so this is a failure that falls back.
fn unkept(model: &str, asked: u32, why: &str) -> Error {
    let times = if asked == 1 { "once".to_owned() } else { format!("{asked} times") };
    let message = format!("{model} was asked {times} and its answer does not keep to the schema: {why}");
    Error::new(Kind::Protocol, message).outcome_is(Outcome::Failed).hint(
        "simplify the schema, ask a model that keeps to schemas by itself, or raise its provider's `schema_retries`",
    )
}

#[cfg(test)]
mod tests;
