//! What the configuration says of models, as the table of models has it.

use router_llm::models::{Abilities, Price, Said, SaidQuirks, efforts};

use super::{
    super::{
        known::{KnownFile, PriceFile, QuirksFile},
        leaf::{Positive, Switch},
        read::{Map, Spanned},
    },
    Build,
};

impl Build<'_> {
    /// What is said of models, by the patterns of their names.
    pub(super) fn known_models(&mut self, file: Option<Spanned<Map<KnownFile>>>) -> Vec<Said> {
        let entries = file.into_iter().flat_map(|file| file.value.0);
        entries.map(|(pattern, said)| self.said(pattern.value, said.value)).collect()
    }

    fn said(&mut self, pattern: String, file: KnownFile) -> Said {
        Said {
            pattern,
            window: tokens(file.window),
            max_output: tokens(file.max_output),
            abilities: Abilities {
                tools: switch(file.tools),
                images: switch(file.images),
                documents: switch(file.documents),
                schema: switch(file.schema),
                thinking: switch(file.thinking),
            },
            tokenizer: file.tokenizer.map(|word| word.value.0),
            price: file.price.and_then(|price| self.price(price)),
            quirks: file.quirks.map(|quirks| self.quirks(quirks.value)).unwrap_or_default(),
        }
    }

    /// A price that is half known would make every cost wrong.
    fn price(&mut self, Spanned { value: file, at }: Spanned<PriceFile>) -> Option<Price> {
        let PriceFile { input, output, cache_read, cache_write } = file;
        let (Some(input), Some(output)) = (input, output) else {
            self.findings.problem(&at, "a price has two sides").remedy("write both: { input: 2.5, output: 10 }");
            return None;
        };
        let input = input.value.0;
        Some(Price {
            input,
            output: output.value.0,
            cache_read: cache_read.map_or(input, |price| price.value.0),
            cache_write: cache_write.map_or(input, |price| price.value.0),
            long: None,
        })
    }

    fn quirks(&mut self, file: QuirksFile) -> SaidQuirks {
        let levels = file.efforts.and_then(|levels| {
            let words = levels.value.iter().map(|level| level.value.0.as_str());
            match efforts(words) {
                Ok(levels) => Some(levels),
                Err(word) => {
                    let says = format!("\"{word}\" is no level of effort");
                    let remedy = format!("the levels are {}", router_llm::models::EFFORTS.join(", "));
                    self.findings.problem(&levels.at, says).remedy(remedy);
                    None
                }
            }
        });
        SaidQuirks {
            reasoning_model: switch(file.reasoning_model),
            no_top_k: switch(file.no_top_k),
            one_system_message: switch(file.one_system_message),
            no_effort: switch(file.no_effort),
            efforts: levels,
            replays_thinking: switch(file.replays_thinking),
            no_prefill: switch(file.no_prefill),
            usual_output: tokens(file.usual_output),
            takes_effort: switch(file.takes_effort),
            no_user_after_tool: switch(file.no_user_after_tool),
            keeps_cache_control: switch(file.keeps_cache_control),
            no_json_object: switch(file.no_json_object),
            replays_details: switch(file.replays_details),
            repairs_calls: switch(file.repairs_calls),
        }
    }
}

fn switch(switch: Option<Spanned<Switch>>) -> Option<bool> {
    switch.map(|switch| switch.value.0)
}

fn tokens(tokens: Option<Spanned<Positive>>) -> Option<u64> {
    tokens.map(|tokens| tokens.value.0.into())
}
