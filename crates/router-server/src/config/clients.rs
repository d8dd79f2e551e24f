//! The clients' rules as they are written.

use super::{
    aliases::KeepFile,
    file::Choices,
    leaf::{Count, Period, Positive, Switch, Temperature, Text},
    read::section,
    settings::{Manner, Privacy},
};

section! {
    /// What is done for one client program. The rule called `default` is for all that have none of their own.
    ClientFile {
        /// The key (of `keys`) whose bearer it is; otherwise the key of the rule's own name.
        key: Text,
        /// Without it, the client is known, and its questions pass as they are.
        enabled: Switch,
        /// The model that answers it, whatever it asks for.
        model: Text,
        /// A template, in Jinja's words, that may name client, model, caller, date, and prompt: what the user said.
        prompt: Text,
        /// What the prompt is for: words before the question, or how a small model rewrites what the user said.
        mode: Manner,
        /// The small model that rewrites.
        rewrite_model: Text,
        /// Who rewrites when it cannot: models in order; `unchanged`, at the end, is what happens in any case.
        fallback: Choices,
        /// A longer prompt is not rewritten. In tokens, of about 3.5 characters; otherwise 4096.
        input_cap: Count,
        /// How long rewriting may take; otherwise 15s. Then the prompt passes as it is.
        timeout: Period,
        /// For the model that the prompt is put to, where the question says nothing of it.
        temperature: Temperature,
        /// The most tokens of its answer, where the question says nothing of it.
        max_tokens: Positive,
        /// Whether its questions may leave this machine.
        privacy: Privacy,
        /// Whether questions that offer tools get the prompt, too. Otherwise only their model is chosen.
        touch_tools: Switch,
        /// What is kept of the answers it gets.
        cache: KeepFile,
    }
}
