//! The models of the file as they are written: an alias in its three forms, and what is kept of answers.

use schemars::JsonSchema;

use super::{
    file::Choices,
    leaf::{Bytes, Hidden, Period, Positive, Share, Switch, Temperature, Text, Time, words},
    read::{Read, Reader, Spanned, section},
    tree::{Node, Value},
};

section! {
    /// A choice of models, with what is done for the questions to it.
    AliasMap {
        /// Who is asked: `provider/model`, or a list of them that falls back in order.
        candidates: Choices,
        /// What is done when the one who is asked has no words for all of a question.
        on_loss: LossWord,
        /// What is kept of the answers.
        cache: KeepFile,
        /// What `/ask` says when nobody can answer.
        default: Text,
    }
}

words! {
    /// What is done when the one who is asked has no words for all of a question.
    LossWord, "is not a way to deal with a loss" {
        /// He is asked without that, and the answer says so.
        Degrade = "degrade",
        /// The next candidate is asked; where there is none, the question is refused.
        Reject = "reject",
    }
}

/// An alias: one model, several of which the first that can answers, or a mapping that says more.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(with = "OneManyOrMap")]
pub(super) struct AliasFile(pub(super) AliasMap);

#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes to editors what is read into `AliasFile`")]
enum OneManyOrMap {
    One(Text),
    Many(Vec<Text>),
    Map(Box<AliasMap>),
}

impl Read for AliasFile {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => AliasMap::read(node, reader).map(Self),
            Value::Null | Value::Scalar(_) | Value::List(_) => {
                let candidates = Some(Spanned { at: reader.at(node.span), value: Choices::read(node, reader)? });
                Some(Self(AliasMap { candidates, ..AliasMap::default() }))
            }
        }
    }
}

section! {
    /// What is kept of models' answers. Nothing is, unless it is said here or by the request itself.
    KeepFile {
        /// Whether the same question is answered with what was kept of the last time.
        exact: Switch,
        /// Whether a question that means the same is, too. Never with tools, images or documents.
        semantic: Switch,
        /// How long a kept answer is as good as new; otherwise `prompt_cache.ttl`.
        ttl: Period,
    }
}

section! {
    /// The answers of models that are kept, where an alias, a client's rule or a request wants that.
    PromptCacheFile {
        /// How long a kept answer is as good as new.
        ttl: Period,
        /// How long it may stand in afterwards, when nobody else answers; otherwise 24 times as long.
        stale: Time,
        /// Memory at the most.
        max_bytes: Bytes,
        /// A longer answer is not kept.
        max_entry_bytes: Bytes,
        /// What questions are told apart with; replicas that share a Redis need the same one. Otherwise it is made of
        /// the address of the Redis, or at random.
        key: Hidden,
        /// Questions that are compared by their meaning, at the most.
        max_questions: Positive,
        /// How near the meanings of two questions have to be (cosine).
        threshold: Share,
        /// Questions with a higher temperature are not compared by their meaning.
        max_temperature: Temperature,
        /// The model that tells meanings, or an alias.
        embed: Text,
        /// How long it is waited for.
        embed_timeout: Period,
    }
}
