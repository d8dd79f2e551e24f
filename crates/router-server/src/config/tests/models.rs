//! What the configuration says of models.

use router_llm::models::{Abilities, Price, Said, SaidQuirks, Tokenizer};

use super::load;

#[test]
fn what_is_said_of_models_is_read_whole() {
    let text = "
providers: { ollama: { num_ctx_max: 32768 } }
known_models:
  \"qwen3*\":
    { window: 32768, max_output: 8192, tools: true, images: false, documents: false, schema: true, thinking: true,
      tokenizer: open, price: { input: 0.5, output: 2, cache_read: 0.1 },
      quirks: { reasoning_model: false, no_top_k: true, one_system_message: true, no_effort: false,
                efforts: [high, low], replays_thinking: true, no_prefill: true, usual_output: 2048,
                takes_effort: false, no_user_after_tool: true, keeps_cache_control: false, no_json_object: true,
                replays_details: true,
                repairs_calls: false } }
  plain: {}
";
    let yes = Some(true);
    let no = Some(false);
    let qwen = Said {
        pattern: "qwen3*".into(),
        window: Some(32_768),
        max_output: Some(8192),
        abilities: Abilities { tools: yes, images: no, documents: no, schema: yes, thinking: yes },
        tokenizer: Some(Tokenizer::Open),
        price: Some(Price { input: 0.5, output: 2.0, cache_read: 0.1, cache_write: 0.5, long: None }),
        quirks: SaidQuirks {
            reasoning_model: no,
            no_top_k: yes,
            one_system_message: yes,
            no_effort: no,
            efforts: Some(&["low", "high"]),
            replays_thinking: yes,
            no_prefill: yes,
            usual_output: Some(2048),
            takes_effort: no,
            no_user_after_tool: yes,
            keeps_cache_control: no,
            no_json_object: yes,
            replays_details: yes,
            repairs_calls: no,
        },
    };
    let config = load(text);
    assert_eq!(config.known_models, [qwen, Said { pattern: "plain".into(), ..Said::default() }]);
    assert_eq!(config.providers.first().and_then(|ollama| ollama.num_ctx_max), Some(32_768));
}
