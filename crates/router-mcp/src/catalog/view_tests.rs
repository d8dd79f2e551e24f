//! Views over servers made of closures: what they show, page by page, and what they tell of.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use router_core::{Caller, Upstream};

use super::*;
use crate::testing::{Fake, raw};

fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("test")), Duration::from_mins(2))
}

fn catalog(offers: Vec<Offer>) -> Catalog {
    Catalog::new(offers, &TaskTracker::new(), [7; 32])
}

fn filter(allow: &[&str]) -> Filters {
    let allow = Some(allow.iter().map(|&pattern| pattern.to_owned()).collect());
    Filters { tools: Filter { allow, deny: Vec::new() }, ..Filters::default() }
}

fn names(page: &Page) -> Vec<String> {
    let items = fields::elements(&Raw::trusted(page.items.clone()));
    items.iter().filter_map(|item| fields::text(item, "name")).collect()
}

const TOOLS: &str = r#"{"tools":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"},{"name":"e"}]}"#;

const LONG: &str = r#"{"tools":[{"name":"a_name_that_is_far_too_long_for_any_model_in_the_world"}]}"#;

#[tokio::test]
async fn a_page_is_made_once() {
    let fake = Fake::new("s").says(&[("tools/list", TOOLS)]);
    let view = catalog(vec![fake.offer()]).view(ViewSpec { page_size: 2, ..ViewSpec::default() });
    let (first, second) = (view.page(List::Tools, None).await.unwrap(), view.page(List::Tools, None).await.unwrap());
    assert_eq!(names(&first), ["s__a", "s__b"]);
    assert_eq!(first.items.as_ptr(), second.items.as_ptr(), "the same bytes");
    fake.change(|revision| revision.tools += 1);
    let third = view.page(List::Tools, None).await.unwrap();
    assert_eq!(names(&third), names(&first));
    assert_eq!(fields::get(&third.frame, "nextCursor"), fields::get(&first.frame, "nextCursor"), "nothing has changed");
}

#[tokio::test]
async fn what_a_view_does_not_show_it_does_not_call() {
    let (one, two) = (Fake::new("one").says(&[("tools/list", TOOLS)]), Fake::new("two").says(&[("tools/list", TOOLS)]));
    let all = catalog(vec![one.offer(), two.offer()]);
    let spec = ViewSpec {
        servers: Some(vec!["two".into()]),
        filters: filter(&["a", "two__b", "one__c"]),
        ..ViewSpec::default()
    };
    let view = all.view(spec);
    // Also before its list is known.
    for (name, expected) in [("two__a", true), ("two__b", true), ("two__c", false), ("one__a", false), ("a", false)] {
        assert_eq!(view.call(&cx(), ToolCall::new(name, None)).await.is_ok(), expected, "{name}");
    }
    assert_eq!(names(&view.page(List::Tools, None).await.unwrap()), ["two__a", "two__b"]);
    for (name, expected) in [("two__a", true), ("two__c", false), ("one__a", false)] {
        assert_eq!(view.call(&cx(), ToolCall::new(name, None)).await.is_ok(), expected, "{name}");
    }
    assert!(one.calls.lock().is_empty() && one.asked.lock().is_empty());
}

#[tokio::test]
async fn names_lead_back_before_a_list_was_asked_for() {
    let (one, two) = (Fake::new("one").says(&[("tools/list", TOOLS)]), Fake::new("two").says(&[("tools/list", LONG)]));
    let offers = || vec![one.offer(), two.offer()];
    let spec = || ViewSpec {
        prefix: Some(Prefix::OnConflict),
        aliases: Arc::new([("short".to_owned(), Alias { server: "one".into(), tool: "b".into() })].into()),
        ..ViewSpec::default()
    };
    let told = names(&catalog(offers()).view(spec()).page(List::Tools, None).await.unwrap());
    assert_eq!(told[..5], ["a", "short", "c", "d", "e"]);
    assert!(told[5].len() == 47 && told[5].starts_with("a_name_that_is_far"), "{told:?}");
    for name in ["a", "short", "one__b", &told[5]] {
        let afresh = catalog(offers()).view(spec());
        assert!(afresh.call(&cx(), ToolCall::new(name, None)).await.is_ok(), "{name}");
    }
    let asked: Vec<_> = one.calls.lock().iter().map(|call| call.name.to_string()).collect();
    assert_eq!(asked, ["a", "b", "b"]);
    assert_eq!(two.calls.lock()[0].name.len(), 54);
}

#[tokio::test]
async fn only_what_a_view_shows_is_heard_of() {
    let fake = Fake::new("s").says(&[("tools/list", TOOLS)]);
    let all = catalog(vec![fake.offer()]);
    let some = all.view(ViewSpec { filters: filter(&["a"]), ..ViewSpec::default() });
    let lazy = Laziness { when: Lazy::Always, ..Laziness::default() };
    let searched = all.view(ViewSpec { lazy, ..ViewSpec::default() });
    for catalog in [&all, &some, &searched] {
        catalog.page(List::Tools, None).await.unwrap();
        catalog.current(List::Tools).await.unwrap();
    }
    let mut listeners = [&all, &some, &searched].map(Catalog::changes);
    for (change, expected) in [
        (r#"{"tools":[{"name":"a"},{"name":"z"}]}"#, [true, false, false]),
        (r#"{"tools":[{"name":"a","title":"A"},{"name":"z"}]}"#, [true, true, false]),
    ] {
        fake.on_lookup(move |_, _| async move { Ok(Answer::new(raw(change))) });
        fake.change(|revision| revision.tools += 1);
        for (changes, expected) in listeners.iter_mut().zip(expected) {
            let heard = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
            assert_eq!(heard.is_ok_and(|changed| changed.tools), expected, "{change}");
        }
    }
}

#[tokio::test]
async fn auto_is_lazy_above_its_bounds() {
    let fake = Fake::new("s").says(&[("tools/list", TOOLS)]);
    let all = catalog(vec![fake.offer()]);
    let tokens = |text: &[u8]| u64::try_from(text.len()).unwrap();
    let bytes = TOOLS.len() as u64 - 10 + 5 * 3;
    for (tools, most, expected) in [(5, bytes, false), (4, bytes, true), (5, bytes - 1, true)] {
        let counted = Arc::new(Mutex::new(Vec::new()));
        let count = Arc::clone(&counted);
        let lazy = Laziness {
            when: Lazy::Above { tools, tokens: most },
            tokens,
            counted: Arc::new(move |view, tokens| count.lock().push((view.to_string(), tokens))),
            ..Laziness::default()
        };
        let view = all.view(ViewSpec { name: "v".into(), lazy, ..ViewSpec::default() });
        let told = names(&view.page(List::Tools, None).await.unwrap());
        assert_eq!(told[0] == "search_tools", expected, "{tools} {most}");
        // The three are longer than these five.
        assert_eq!(*counted.lock(), if expected { vec![("v".to_owned(), Tokens::Saved(0))] } else { vec![] });
    }
}

/// Knows that a canine is a dog.
struct Thesaurus(AtomicUsize);

impl Meaning for Thesaurus {
    fn vectors(&self, texts: Vec<String>) -> BoxFuture<'static, Result<Vec<Vec<f32>>>> {
        self.0.fetch_add(texts.len(), Ordering::Relaxed);
        let about = |text: &String, words: [&str; 2]| f32::from(u8::from(words.iter().any(|word| text.contains(word))));
        let vectors = texts.iter().map(|text| vec![about(text, ["canine", "dog"]), about(text, ["feline", "cat"])]);
        let vectors = vectors.collect();
        async move { Ok(vectors) }.boxed()
    }
}

#[tokio::test]
async fn meanings_find_what_words_do_not() {
    let fake = Fake::new("s").says(&[(
        "tools/list",
        r#"{"tools":[{"name":"walk_dog"},{"name":"feed_cat"},{"name":"walk_on","description":"Goes on walking."}]}"#,
    )]);
    let meaning = Arc::new(Thesaurus(AtomicUsize::new(0)));
    let lazy = Laziness { when: Lazy::Always, meaning: Some(Arc::clone(&meaning) as _), ..Laziness::default() };
    let view = catalog(vec![fake.offer()]).view(ViewSpec { lazy, ..ViewSpec::default() });
    let found = async |question: &str| {
        let call = ToolCall::new("search_tools", Some(raw(&format!(r#"{{"query":"{question}"}}"#))));
        let answer = view.call(&cx(), call).await.unwrap().result;
        let tools = fields::get_path(&answer, &["structuredContent", "tools"]).unwrap();
        fields::elements(&tools).iter().filter_map(|tool| fields::text(tool, "name")).collect::<Vec<_>>()
    };
    assert_eq!(found("canine").await, [""; 0], "not learnt yet");
    while meaning.0.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    assert_eq!(found("canine").await, ["s__walk_dog"]);
    assert_eq!(found("walk canine").await, ["s__walk_dog", "s__walk_on"]);
    assert_eq!(meaning.0.load(Ordering::Relaxed), 3 + 2, "what is known is not asked again");
}

#[tokio::test]
async fn overrides_reach_the_server_as_it_knows_them() {
    let fake = Fake::new("s").says(&[("tools/list", TOOLS)]);
    let said = Override { name: Some("z".into()), arguments: Some(raw(r#"{"x":1}"#)), ..Override::default() };
    let terms = Terms { overrides: [("a".to_owned(), said)].into(), ..Terms::default() };
    let all = catalog(vec![Offer { terms, ..fake.offer() }]);
    let alone = all.single("s").unwrap();
    // Before its list is known, and after.
    for _ in 0..2 {
        for (catalog, name) in [(&all, "s__z"), (&alone, "z")] {
            catalog.call(&cx(), ToolCall::new(name, Some(raw(r#"{"y":2}"#)))).await.unwrap();
            let call = fake.calls.lock().pop().unwrap();
            assert_eq!((&*call.name, call.arguments), ("a", Some(raw(r#"{"y":2,"x":1}"#))), "{name}");
        }
        assert_eq!(names(&all.page(List::Tools, None).await.unwrap())[0], "s__z");
        assert_eq!(names(&alone.page(List::Tools, None).await.unwrap())[0], "z");
    }
}
