//! Each dialect's questions and answers, and what becomes of those of one in the words of the other.

use router_core::embed::Embed;

use super::*;

fn body(json: &str) -> Bytes {
    Bytes::copy_from_slice(json.as_bytes())
}

fn told(numbers: Numbers) -> Told<'static> {
    let usage = Usage { input: 7, ..Usage::default() };
    Told { model: "embed", usage, numbers, took: Duration::from_micros(3) }
}

/// How many vectors are due and how their numbers are wanted, or why the question is refused.
type Found = Result<(usize, Numbers), &'static str>;

#[test]
fn a_head_tells_the_model_and_how_many_vectors_are_due() {
    use Numbers::{Base64, Floats};
    let table: [(&dyn Language, &str, Found); 13] = [
        (&OPENAI, r#"{"model":"m","input":"a"}"#, Ok((1, Floats))),
        (&OPENAI, r#"{"model":"m","input":["a","b"],"encoding_format":"base64"}"#, Ok((2, Base64))),
        (&OPENAI, r#"{"model":"m","input":[ 1, 2, 3 ],"encoding_format":"float"}"#, Ok((1, Floats))),
        (&OPENAI, r#"{"model":"m","input":[[1],[2,3]],"encoding_format":null}"#, Ok((2, Floats))),
        (&OPENAI, r#"{"model":"m","input":[]}"#, Ok((0, Floats))),
        (&OPENAI, r#"{"model":"m"}"#, Ok((0, Floats))),
        (&OPENAI, r#"{"model":"m","encoding_format":"int8"}"#, Err("encoding_format: must be \"float\" or \"base64\"")),
        (&OPENAI, r#"{"input":"a"}"#, Err("model: a string is required")),
        (&OPENAI, "", Err("the body is empty")),
        (&OLLAMA, r#"{"model":"m","input":["a","b","c"]}"#, Ok((3, Floats))),
        (&OLLAMA, r#"{"model":"m","prompt":"a"}"#, Ok((0, Floats))),
        (&OLLAMA_PROMPT, r#"{"model":"m","prompt":"a"}"#, Ok((1, Floats))),
        (&OLLAMA_PROMPT, r#"{"prompt":"a"}"#, Err("model: a string is required")),
    ];
    for (language, json, expected) in table {
        let head = language.head(json.as_bytes());
        if let Ok(head) = &head {
            assert_eq!((head.model.as_str(), &json[head.model_at.clone()]), ("m", "\"m\""));
        }
        let found = head.as_ref().map(|head| (head.count, head.numbers)).map_err(Error::message);
        assert_eq!(found, expected, "{json}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let tokens = "input: tokens mean something only to a provider that speaks OpenAI's dialect, which this model's does \
                  not; send text";
    let table: [(&dyn Language, &str, &str); 9] = [
        (&OPENAI, r#"{"model":"m","input":[1,2]}"#, tokens),
        (&OPENAI, r#"{"model":"m","input":[[1,2]]}"#, tokens),
        (&OPENAI, r#"{"model":"m","input":[]}"#, "input: must hold at least one text"),
        (&OPENAI, r#"{"model":"m"}"#, "input: Field required"),
        (&OPENAI, r#"{"model":"m","input":{"a":1}}"#, "input: must be text or a list of texts"),
        (&OPENAI, r#"{"model":"m","input":["a",2]}"#, "input.1: invalid type: integer `2`, expected a string"),
        (
            &OPENAI,
            r#"{"model":"m","input":"a","dimensions":"x"}"#,
            "dimensions: invalid type: string \"x\", expected u32",
        ),
        (&OLLAMA, r#"{"model":"m","input":[1]}"#, "input: must be text or a list of texts"),
        (&OLLAMA_PROMPT, r#"{"model":"m"}"#, "prompt: Field required"),
    ];
    for (language, json, expected) in table {
        let error = language.decode(&body(json)).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Invalid, expected), "{json}");
    }
}

/// A question of one dialect, what it is in the words of another, and what was lost of it.
type Case<'a> = (&'a dyn Language, &'a str, &'a dyn Language, &'a str, &'a str);

#[test]
fn a_question_is_put_into_other_words() {
    let openai =
        r#"{"model":"x","input":"a\u00e9","dimensions":2,"encoding_format":"base64","user":"u","input_type":"q"}"#;
    let ollama = r#"{"model":"x","input":["a","b"],"truncate":true,"dimensions":2,"keep_alive":"5m"}"#;
    let strict = r#"{"model":"x","input":"a","truncate":false}"#;
    let prompt = r#"{"model":"x","prompt":"a","options":{"num_ctx":1}}"#;
    let both = r#"{"model":"x","prompt":"a","input":"b","t.model":"y"}"#;
    let table: [Case<'_>; 8] = [
        (&OPENAI, openai, &OPENAI, r#"{"model":"m","input":["aé"],"dimensions":2,"user":"u","input_type":"q"}"#, ""),
        (&OPENAI, openai, &OLLAMA, r#"{"model":"m","input":["aé"],"dimensions":2}"#, "user, input_type"),
        (&OLLAMA, ollama, &OPENAI, r#"{"model":"m","input":["a","b"],"dimensions":2}"#, "truncate, keep_alive"),
        (
            &OLLAMA,
            ollama,
            &OLLAMA,
            r#"{"model":"m","input":["a","b"],"dimensions":2,"keep_alive":"5m","truncate":true}"#,
            "",
        ),
        (&OLLAMA, strict, &OPENAI, r#"{"model":"m","input":["a"]}"#, ""),
        (&OLLAMA_PROMPT, prompt, &OLLAMA, r#"{"model":"m","input":["a"],"options":{"num_ctx":1}}"#, ""),
        (&OLLAMA_PROMPT, prompt, &OPENAI, r#"{"model":"m","input":["a"]}"#, "options"),
        (&OLLAMA_PROMPT, both, &OLLAMA, r#"{"model":"m","input":["a"],"t.model":"y"}"#, ""),
    ];
    for (from, question, to, expected, lost) in table {
        let mut losses = Losses::default();
        let written = to.encode(&from.decode(&body(question)).unwrap(), "m", &mut losses);
        assert_eq!((&written[..], losses.to_string().as_str()), (expected.as_bytes(), lost), "{question}");
    }
}

#[test]
fn a_question_of_our_own_says_no_more_than_it_has_to() {
    let query = Embed::of(vec!["a".to_owned()], "m");
    let written = OPENAI.encode(&query.texts().unwrap(), "m", &mut Losses::default());
    assert_eq!(&written[..], br#"{"model":"m","input":["a"]}"#);
}

#[test]
fn vectors_are_read_in_the_order_of_their_texts_in_either_form() {
    let swapped = r#"{"data":[{"index":1,"embedding":[3,4.5]},{"object":"embedding","index":0,"embedding":[1,-2e0]}]}"#;
    let base64 = r#"{"data":[{"embedding":"AACAPwAAAMA=","index":0},{"embedding":"AABAQAAAkEA=","index":1}]}"#;
    let unnumbered = r#"{"data":[{"embedding":[1,-2]},{"embedding":[3,4.5]}]}"#;
    let ollama = r#"{"model":"m","embeddings":[[1,-2],[3,4.5]],"prompt_eval_count":4}"#;
    let both = r#"{"model":"m","embeddings":[[1,-2],[3,4.5]],"embedding":[5,6]}"#;
    let table: [(&dyn Language, &str); 5] =
        [(&OPENAI, swapped), (&OPENAI, base64), (&OPENAI, unnumbered), (&OLLAMA, ollama), (&OLLAMA, both)];
    for (language, answer) in table {
        let matrix = language.matrix(&body(answer)).unwrap();
        assert_eq!((matrix.width(), matrix.values()), (2, &[1.0, -2.0, 3.0, 4.5][..]), "{answer}");
    }
    let wrong: [(&dyn Language, &str, &str); 9] = [
        (&OPENAI, r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#, "one is numbered 0 where 1"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2,3]}]}"#, "a vector has 2 numbers"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":"AACAPwA="}]}"#, "their base64 ends within a number"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":"?"}]}"#, "the answer's vectors cannot be read"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":[null]}]}"#, "the answer's vectors cannot be read"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":[]}]}"#, "a vector has 0 numbers"),
        (&OPENAI, r#"{"data":[{"index":0,"embedding":"AADAfw=="}]}"#, "a vector holds what is no number"),
        (&OLLAMA, r#"{"embeddings":[["a"]]}"#, "the answer's vectors cannot be read"),
        (&OLLAMA, r#"{"embeddings":[[1e39]]}"#, "number out of range"),
    ];
    for (language, answer, expected) in wrong {
        let error = language.matrix(&body(answer)).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_glance_counts_vectors_and_tokens() {
    let seven = Usage { input: 7, ..Usage::default() };
    let table: [(&dyn Language, &str, Glance); 5] = [
        (
            &OPENAI,
            r#"{"data":[{"embedding":[1,2]},{"embedding":"x"}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#,
            Glance { count: Some(2), error: false, usage: seven },
        ),
        (&OPENAI, r#"{"error":{"message":"no"}}"#, Glance { error: true, ..Glance::default() }),
        (&OPENAI, r#"{"choices":[]}"#, Glance::default()),
        (
            &OLLAMA,
            r#"{"embeddings":[[1],[2],[3]],"prompt_eval_count":7}"#,
            Glance { count: Some(3), error: false, usage: seven },
        ),
        (&OLLAMA, r#"{"embedding":[1]}"#, Glance::default()),
    ];
    for (language, answer, expected) in table {
        assert_eq!(language.glance(answer.as_bytes()), expected, "{answer}");
    }
}

#[test]
fn an_answer_is_written_as_clients_read_it() {
    let matrix = Matrix::of([[1.0, -2.0], [0.1, 4.5]]).unwrap();
    let openai = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-2.0]},{"object":"embedding","index":1,"embedding":[0.1,4.5]}],"model":"embed","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let ollama = r#"{"model":"embed","embeddings":[[1.0,-2.0],[0.1,4.5]],"total_duration":3000,"prompt_eval_count":7}"#;
    let table: [(&dyn Language, &str); 3] =
        [(&OPENAI, openai), (&OLLAMA, ollama), (&OLLAMA_PROMPT, r#"{"embedding":[1.0,-2.0]}"#)];
    for (language, expected) in table {
        assert_eq!(&language.write(&matrix, &told(Numbers::Floats))[..], expected.as_bytes());
    }
    let packed = OPENAI.write(&matrix, &told(Numbers::Base64));
    assert!(std::str::from_utf8(&packed).unwrap().contains(r#""embedding":"AACAPwAAAMA="}"#), "{packed:?}");
    assert_eq!(OPENAI.matrix(&packed).unwrap(), matrix, "nothing is lost on the way");
}
