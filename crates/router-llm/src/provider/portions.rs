//! A question for more vectors than a provider gives at once: put in portions, answered as one.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use router_core::{
    Error, Kind, Reply, Result,
    chat::Usage,
    embed::{Embed, Matrix, Texts, Vectors, Wire},
    scan,
};

use crate::dialect::embeddings::Language;

/// How many portions are asked for at a time.
const AT_ONCE: usize = 4;

/// How many vectors answer `query`.
pub(super) fn count(query: &Embed) -> Result<usize> {
    match query.wire() {
        Some(wire) => Ok(wire.count),
        None => Ok(query.texts()?.inputs.len()),
    }
}

/// Puts `query` to `ask` in portions of at most `most` inputs.
pub(super) async fn asked<F>(
    query: &Embed,
    (language, most): (&'static dyn Language, usize),
    ask: impl Fn(Embed) -> F,
) -> Result<Vectors>
where
    F: Future<Output = Result<Vectors>>,
{
    let answers = stream::iter(portions(query, language, most)?).map(ask).buffered(AT_ONCE);
    joined(answers.try_collect().await?)
}

/// The portions, each in the words of the question, where those are its provider's.
fn portions(query: &Embed, language: &'static dyn Language, most: usize) -> Result<Vec<Embed>> {
    let wire = query.wire().filter(|wire| wire.dialect.name() == language.name());
    let mut portions: Vec<Embed> = match wire {
        Some(wire) => spoken(wire, query, language, most)?,
        None => {
            let texts = query.texts()?;
            let some = |inputs: &[String]| Texts { inputs: inputs.into(), ..Texts::clone(&texts) };
            texts.inputs.chunks(most).map(|inputs| Embed::asking(some(inputs), Arc::clone(&query.model))).collect()
        }
    };
    for portion in &mut portions {
        portion.on_loss = query.on_loss;
    }
    Ok(portions)
}

/// The bytes that came, but for the rest of the inputs.
fn spoken(wire: &Wire, query: &Embed, language: &'static dyn Language, most: usize) -> Result<Vec<Embed>> {
    let misread = || Error::new(Kind::Internal, "the inputs stand outside of their question");
    let body = &wire.body;
    let inputs = scan::find(body, "/input").ok_or_else(misread)?;
    let start = inputs.as_ptr() as usize - body.as_ptr() as usize;
    let (before, after) = (body.get(..start), body.get(start + inputs.len()..));
    let (before, after) = before.zip(after).ok_or_else(misread)?;
    let items: Vec<&[u8]> = scan::items(inputs).collect();
    let portion = |items: &[&[u8]]| {
        let body = [before, b"[", &items.join(&b','), b"]", after].concat();
        let model = language.head(&body)?.model_at;
        let wire = Wire { dialect: wire.dialect, body: body.into(), model, count: items.len() };
        Ok(Embed::arrived(wire, query.meta.clone(), Arc::clone(&query.model)))
    };
    items.chunks(most).map(portion).collect()
}

/// All vectors in their order, and what all of them cost.
fn joined(answers: Vec<Vectors>) -> Result<Vectors> {
    let matrices = answers.iter().map(Vectors::matrix).collect::<Result<Vec<_>>>()?;
    let input = answers.iter().map(|vectors| vectors.usage().input).sum();
    let matrix = Matrix::of(matrices.iter().flat_map(|matrix| matrix.rows()))?;
    let mut vectors = Vectors::of(matrix, Usage { input, ..Usage::default() });
    for answer in answers {
        answer.provenance().dropped.iter().for_each(|lost| vectors.provenance_mut().dropped.note(lost.to_owned()));
        vectors.meta = answer.meta;
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;
    use crate::dialect::embeddings::{OLLAMA, OPENAI};

    fn arrived(language: &'static dyn Language, body: &'static str) -> Embed {
        let body = Bytes::from_static(body.as_bytes());
        let head = language.head(&body).unwrap();
        let wire = Wire { dialect: language, body, model: head.model_at, count: head.count };
        Embed::arrived(wire, [("openai-beta", "x")].into_iter().collect(), "own")
    }

    #[tokio::test]
    async fn each_portion_is_the_question_but_for_the_other_inputs() {
        let own = |inputs: &[&str]| Embed::of(inputs.iter().map(|&text| text.to_owned()).collect::<Vec<_>>(), "own");
        let table = [
            (
                arrived(&OPENAI, r#"{ "input":[ [1,2], [3],[4] ], "model" : "alias","zeta":1.0}"#),
                vec![
                    r#"{ "input":[[1,2],[3]], "model" : "alias","zeta":1.0} at 33..40"#,
                    r#"{ "input":[[4]], "model" : "alias","zeta":1.0} at 27..34"#,
                ],
            ),
            (
                arrived(&OPENAI, r#"{"model":"alias","input":["a\"]","b","c","d"]}"#),
                vec![
                    r#"{"model":"alias","input":["a\"]","b"]} at 9..16"#,
                    r#"{"model":"alias","input":["c","d"]} at 9..16"#,
                ],
            ),
            (arrived(&OLLAMA, r#"{"model":"alias","input":["a","b","c"]}"#), vec![r#"["a", "b"]"#, r#"["c"]"#]),
            (own(&["a", "b", "c"]), vec![r#"["a", "b"]"#, r#"["c"]"#]),
        ];
        for (query, expected) in table {
            let said = portions(&query, &OPENAI, 2).unwrap().into_iter().map(|portion| match portion.wire() {
                Some(wire) => format!("{} at {:?}", String::from_utf8_lossy(&wire.body), wire.model),
                None => format!("{:?}", portion.texts().unwrap().inputs),
            });
            assert_eq!(said.collect::<Vec<_>>(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_vectors_stand_in_the_order_of_the_inputs_and_cost_what_all_do() {
        let inputs: Vec<String> = (0..10_u8).map(|number| number.to_string()).collect();
        let sizes = Mutex::new(Vec::new());
        let query = Embed::of(inputs, "m");
        let vectors = asked(&query, (&OPENAI, 3), |portion| {
            let texts = portion.texts().unwrap();
            sizes.lock().push(texts.inputs.len());
            async move {
                // The first ones take longest.
                tokio::time::sleep(std::time::Duration::from_secs(10 - texts.inputs[0].parse::<u64>().unwrap())).await;
                let rows = texts.inputs.iter().map(|text| [text.parse::<f32>().unwrap()]);
                Ok(Vectors::of(Matrix::of(rows)?, Usage { input: 7, ..Usage::default() }))
            }
        });
        let vectors = vectors.await.unwrap();
        assert_eq!(vectors.matrix().unwrap().values(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!((vectors.usage().input, sizes.into_inner()), (28, vec![3, 3, 3, 1]));
    }

    #[tokio::test]
    async fn one_portion_that_fails_fails_the_question() {
        let inputs = ["a", "b"].map(str::to_owned).to_vec();
        let query = Embed::of(inputs, "m");
        let failed = asked(&query, (&OPENAI, 1), |portion| async move {
            match &*portion.texts()?.inputs[0] {
                "a" => Ok(Vectors::of(Matrix::of([[1.0]])?, Usage::default())),
                _ => Err(Error::new(Kind::Limited, "slow down")),
            }
        });
        assert_eq!(failed.await.unwrap_err().kind(), Kind::Limited);
    }
}
