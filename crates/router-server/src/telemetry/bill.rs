//! What the answers of models took and cost: by who gave them, by the alias that was asked for, and by whose key it was.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use router_core::{Charge, Name};

use super::metrics::Label;

/// The counters of answers.
#[derive(Default)]
pub(super) struct Bill {
    cost: Family<BillLabels, Counter<f64, AtomicU64>>,
    tokens: Family<KindLabels, Counter>,
    dropped: Family<DroppedLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BillLabels {
    upstream: Label,
    alias: Label,
    caller: Label,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabels {
    upstream: Label,
    alias: Label,
    caller: Label,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DroppedLabels {
    upstream: Label,
}

impl Bill {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("llm_cost_dollars", "What answers of models cost, where their prices are known", self.cost.clone());
        r.register("llm_tokens", "Tokens of answers of models, as the providers tell them", self.tokens.clone());
        r.register("llm_dropped", "Parts of questions that could not be carried to the model", self.dropped.clone());
    }

    pub(super) fn charge(&self, charge: &Charge<'_>) {
        let label = |name: &Name| Label(Arc::clone(name));
        let (upstream, caller) = (label(charge.upstream), label(charge.caller));
        let alias = charge.alias.map_or_else(|| Label("".into()), label);
        if charge.dropped > 0 {
            let labels = DroppedLabels { upstream: upstream.clone() };
            self.dropped.get_or_create(&labels).inc_by(charge.dropped as u64);
        }
        for (kind, count) in charge.usage.by_kind() {
            if count > 0 {
                let (upstream, alias, caller) = (upstream.clone(), alias.clone(), caller.clone());
                self.tokens.get_or_create(&KindLabels { upstream, alias, caller, kind }).inc_by(count);
            }
        }
        if let Some(dollars) = charge.dollars {
            self.cost.get_or_create(&BillLabels { upstream, alias, caller }).inc_by(dollars);
        }
    }
}

#[cfg(test)]
mod tests {
    use router_core::{Meter, chat::Usage};

    use super::{super::metrics::Metrics, *};

    #[test]
    fn counts_on_whose_account_an_answer_goes() {
        let (upstream, alias, caller): (Name, Name, Name) = ("openai/gpt-4o".into(), "big".into(), "me".into());
        let metrics = Metrics::new();
        let usage = Usage { input: 7, output: 3, ..Usage::default() };
        let dear = Charge {
            upstream: &upstream,
            alias: Some(&alias),
            caller: &caller,
            usage,
            dollars: Some(0.25),
            dropped: 2,
        };
        metrics.charge(&dear);
        metrics.charge(&dear);
        metrics.charge(&Charge { alias: None, dollars: None, dropped: 0, ..dear });
        let text = metrics.text();
        for line in [
            r#"mcp_llm_cost_dollars_total{upstream="openai/gpt-4o",alias="big",caller="me"} 0.5"#,
            r#"mcp_llm_tokens_total{upstream="openai/gpt-4o",alias="big",caller="me",kind="input"} 14"#,
            r#"mcp_llm_tokens_total{upstream="openai/gpt-4o",alias="",caller="me",kind="output"} 3"#,
            r#"mcp_llm_dropped_total{upstream="openai/gpt-4o"} 4"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains(r#"mcp_llm_cost_dollars_total{upstream="openai/gpt-4o",alias="""#), "never zero");
    }
}
