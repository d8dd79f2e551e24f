//! A tiny model, written here file by file.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use router_core::{
    Caller,
    chat::{Prompt, Shape},
};
use safetensors::{
    Dtype,
    tensor::{TensorView, serialize},
};
use serde_json::json;

use super::*;

/// Five tokens: what is unknown, three words and an ending.
fn tokenizer() -> Vec<u8> {
    let tokenizer = json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
        "padding": null,
        "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": { "[UNK]": 0, "red": 1, "blue": 2, "house": 3, "##s": 4 },
        },
    });
    tokenizer.to_string().into_bytes()
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn safetensors<'a>(tensors: &'a [(&'a str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).expect("a tensor")));
    serialize(views, &None).expect("a file")
}

const ROWS: [f32; 10] = [9.0, 9.0, 3.0, 0.0, 0.0, 4.0, 0.0, 2.0, 1.0, 1.0];

fn files(config: &str, model: Vec<u8>) -> Files {
    Files { tokenizer: tokenizer(), model, config: config.as_bytes().to_vec() }
}

fn plain(config: &str) -> Files {
    files(config, safetensors(&[("embeddings", Dtype::F32, vec![5, 2], bytes(&ROWS))]))
}

fn mean(model: &StaticModel, text: &str) -> Vec<f32> {
    model.embed(&[text.to_owned()], model.width()).expect("a vector").0.values().to_vec()
}

#[test]
fn a_text_is_the_mean_of_its_tokens() {
    let plain = StaticModel::read(&plain(r#"{"normalize": false}"#)).unwrap();
    let table = [
        ("red", [3.0, 0.0]),
        ("Red blue", [1.5, 2.0]),
        ("red unheard-of", [3.0, 0.0]),
        ("houses", [0.5, 1.5]),
        ("red red blue blue", [1.5, 2.0]),
        ("", [0.0, 0.0]),
    ];
    for (text, expected) in table {
        assert_eq!(mean(&plain, text), expected, "{text}");
    }
}

#[test]
fn vectors_have_length_one_unless_the_model_says_otherwise_and_may_be_cut() {
    let model = StaticModel::read(&plain("{}")).unwrap();
    assert_eq!((mean(&model, "red blue"), mean(&model, "")), (vec![0.6, 0.8], vec![0.0, 0.0]));
    let (matrix, tokens) = model.embed(&["red blue".to_owned(), "blue".to_owned()], 1).unwrap();
    assert_eq!((matrix.values(), tokens), (&[1.0, 0.0][..], 3));
}

#[test]
fn rows_may_be_shared_weighed_and_small() {
    let mapping: Vec<u8> = [0_i64, 0, 1, 1, 0].iter().flat_map(|row| row.to_le_bytes()).collect();
    let weights: Vec<u8> = [0.0_f64, 1.0, 0.5, 1.0, 1.0].iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let table = safetensors(&[
        ("embeddings", Dtype::I8, vec![2, 2], vec![4, 0, 0, 0xFC]),
        ("mapping", Dtype::I64, vec![5], mapping),
        ("weights", Dtype::F64, vec![5], weights),
    ]);
    let model = StaticModel::read(&files(r#"{"normalize": false}"#, table)).unwrap();
    assert_eq!((mean(&model, "red blue"), mean(&model, "house")), (vec![2.0, -1.0], vec![0.0, -4.0]));
    let halves: Vec<u8> = ROWS.iter().flat_map(|number| half::f16::from_f32(*number).to_le_bytes()).collect();
    let table = safetensors(&[("embeddings", Dtype::F16, vec![5, 2], halves)]);
    let model = StaticModel::read(&files(r#"{"normalize": false}"#, table)).unwrap();
    assert_eq!(mean(&model, "red"), [3.0, 0.0]);
}

#[test]
fn files_that_do_not_fit_are_named() {
    let of = |name, dtype, shape: &[usize], data| safetensors(&[(name, dtype, shape.to_vec(), data)]);
    let table = [
        (files("no", Vec::new()), "config.json is not"),
        (Files { tokenizer: b"{}".to_vec(), ..plain("{}") }, "tokenizer.json is not"),
        (files("{}", b"no".to_vec()), "model.safetensors is not"),
        (files("{}", of("other", Dtype::F32, &[5, 2], bytes(&ROWS))), "it has no `embeddings`"),
        (files("{}", of("embeddings", Dtype::F32, &[10], bytes(&ROWS))), "are no table"),
        (files("{}", of("embeddings", Dtype::F32, &[2, 5], bytes(&ROWS))), "it has 2 rows, which are not those of the"),
        (files("{}", of("embeddings", Dtype::I32, &[5, 2], bytes(&ROWS))), "of the kind I32"),
    ];
    for (files, expected) in table {
        let error = StaticModel::read(&files).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains(expected), "{error}");
    }
}

async fn ask(provider: &Model2Vec, texts: Texts) -> Result<Vectors> {
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(5));
    provider.call(&cx, Embed::asking(texts, "any")).await
}

#[tokio::test]
async fn the_model_is_read_once_and_only_when_it_is_asked() {
    let reads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reads);
    let read = move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(plain("{}"))
    };
    let provider = Model2Vec::new("local".into(), read, TaskTracker::new());
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    let texts = Texts { inputs: vec!["red".to_owned(), "blue house".to_owned()].into(), ..Texts::default() };
    for _ in 0..2 {
        let vectors = ask(&provider, texts.clone()).await.unwrap();
        assert_eq!(vectors.matrix().unwrap().values(), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!((vectors.usage().input, vectors.provenance().upstream.as_deref()), (3, Some("local")));
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    let short = ask(&provider, Texts { dimensions: Some(1), ..texts.clone() }).await.unwrap();
    assert_eq!(short.matrix().unwrap().width(), 1);
    for dimensions in [0, 3] {
        let error = ask(&provider, Texts { dimensions: Some(dimensions), ..texts.clone() }).await.unwrap_err();
        assert_eq!(error.message(), format!("dimensions: {dimensions} are not to be had, the model has 2"));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_tried_again() {
    let gone = std::sync::atomic::AtomicBool::new(true);
    let read = move || {
        if gone.swap(false, Ordering::Relaxed) { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(plain("{}")) }
    };
    let provider = Model2Vec::new("local".into(), read, TaskTracker::new());
    let error = ask(&provider, Texts::default()).await.unwrap_err();
    let told = "local: the model cannot be read: entity not found (see that `path` of the provider leads to a model2vec \
                folder)";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unavailable, told));
    assert!(ask(&provider, Texts::default()).await.unwrap().matrix().unwrap().is_empty());
}

#[tokio::test]
async fn it_answers_no_chats() {
    let provider = Model2Vec::new("local".into(), || Ok(plain("{}")), TaskTracker::new());
    let cx = Cx::new(Arc::new(Caller::anonymous("r")), Duration::from_secs(5));
    let error = provider.call(&cx, Chat::of(Prompt::ask("hi"), "m", Shape::Whole)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}
