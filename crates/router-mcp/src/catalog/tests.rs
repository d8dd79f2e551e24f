//! The catalog over servers made of closures.

use router_core::{Caller, Repeat, Upstream};
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::{
    client::ServerState,
    testing::{Fake, raw, refusal},
};

fn cx() -> Cx {
    Cx::new(Arc::new(Caller::anonymous("test")), Duration::from_mins(2))
}

fn catalog(fakes: &[&Arc<Fake>]) -> Catalog {
    of_offers(fakes.iter().map(|fake| fake.offer()).collect())
}

fn of_offers(offers: Vec<Offer>) -> Catalog {
    Catalog::new(offers, &TaskTracker::new(), [7; 32])
}

async fn look(catalog: &Catalog, what: What, params: &str) -> Result<String> {
    let params = (!params.is_empty()).then(|| raw(params));
    catalog.call(&cx(), Lookup { params, ..Lookup::new(what) }).await.map(|answer| answer.result.as_str().to_owned())
}

async fn call(catalog: &Catalog, name: &str) -> Result<Answer> {
    catalog.call(&cx(), ToolCall::new(name, None)).await
}

const ONE_TOOL: &str = r#"{"tools":[{"name":"now"}]}"#;

#[tokio::test]
async fn lists_are_one_in_the_order_of_the_configuration_and_only_names_change() {
    let zoo = Fake::new("zoo").on_lookup(|_, lookup| async move {
        Ok(Answer::new(match lookup.params {
            None => raw(r#"{"x-top":1,"tools":[ { "title":"é\u00e9", "inputSchema":{"properties":{"zeta":1,"alpha":12345678901234567890123}} ,"name" : "feed", "x-vendor":{"b":1e2,"a":[]}}, {"name":"feed"}, {"title":"nameless"} ],"nextCursor":"p2","ttlMs":9000,"cacheScope":"public"}"#),
            Some(_) => raw(r#"{"tools":[{"name":"wash"}],"ttlMs":5000,"cacheScope":"public"}"#),
        }))
    });
    let arc =
        Fake::new("arc").says(&[("tools/list", r#"{"tools":[{"name":"sail"}],"ttlMs":100000,"cacheScope":"public"}"#)]);
    let union = catalog(&[&zoo, &arc]);
    let list = look(&union, What::Tools, "").await.unwrap();
    let (tools, hints) = list.split_once(r#","ttlMs":"#).unwrap();
    assert_eq!(
        tools,
        r#"{"tools":[{ "title":"é\u00e9", "inputSchema":{"properties":{"zeta":1,"alpha":12345678901234567890123}} ,"name" : "zoo__feed", "x-vendor":{"b":1e2,"a":[]}},{"name":"zoo__wash"},{"name":"arc__sail"}]"#
    );
    let (ttl, scope) = hints.split_once(',').unwrap();
    assert!((4_000..=5_000).contains(&ttl.parse().unwrap()), "the least of all: {ttl}");
    assert_eq!(scope, r#""cacheScope":"public"}"#);
    assert_eq!(*zoo.asked.lock(), ["tools/list ", r#"tools/list {"cursor":"p2"}"#]);

    let alone = union.single("zoo").unwrap();
    let list = look(&alone, What::Tools, "").await.unwrap();
    assert!(list.starts_with(r#"{"x-top":1,"tools":[{ "title":"é\u00e9","#), "{list}");
    assert!(list.contains(r#""name" : "feed""#) && list.contains(r#"{"name":"wash"}"#) && !list.contains("nextCursor"));
    assert_eq!(zoo.asked.lock().len(), 2, "both views share what is known");
    assert!(union.single("ark").is_none());
}

#[tokio::test]
async fn a_part_that_may_not_be_shared_makes_the_list_private() {
    let open = Fake::new("open").says(&[("tools/list", r#"{"tools":[],"ttlMs":1000,"cacheScope":"public"}"#)]);
    let old = Fake::new("old").says(&[("tools/list", ONE_TOOL)]);
    let list = look(&catalog(&[&open, &old]), What::Tools, "").await.unwrap();
    assert_eq!(list, r#"{"tools":[{"name":"old__now"}],"ttlMs":0,"cacheScope":"private"}"#);
}

#[tokio::test]
async fn a_call_goes_to_the_server_that_its_name_begins_with() {
    let short = Fake::new("a").says(&[("tools/list", r#"{"tools":[{"name":"b__x"}]}"#)]);
    let long = Fake::new("a__b").says(&[("tools/list", r#"{"tools":[{"name":"x"}]}"#)]);
    let union = catalog(&[&short, &long]);
    call(&union, "a__b__x").await.unwrap();
    call(&union.single("a").unwrap(), "b__x").await.unwrap();
    let names = |fake: &Fake| fake.calls.lock().iter().map(|call| call.name.to_string()).collect::<Vec<_>>();
    assert_eq!((names(&short), names(&long)), (vec!["b__x".to_owned()], vec!["x".to_owned()]));
}

#[tokio::test]
async fn an_unknown_tool_is_answered_with_the_nearest() {
    let clock = Fake::new("time").says(&[("tools/list", ONE_TOOL)]);
    let union = catalog(&[&clock]);
    look(&union, What::Tools, "").await.unwrap();
    for (name, expected) in [
        ("time__nov", "unknown tool: time__nov (did you mean time__now?)"),
        ("now", "unknown tool: now (did you mean time__now?)"),
        ("weather__today", "unknown tool: weather__today"),
    ] {
        let error = call(&union, name).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (Kind::NotFound, expected.to_owned()));
    }
    assert!(clock.calls.lock().is_empty());
}

#[tokio::test]
async fn a_hidden_tool_is_not_there() {
    let fake = Fake::new("s").says(&[(
        "tools/list",
        r#"{"tools":[{"name":"read"},{"name":"rm"},{"name":"rm_all"},{"name":"drop_table"}]}"#,
    )]);
    let tools = Filter { deny: ["rm", "drop_*"].map(str::to_owned).to_vec(), ..Filter::default() };
    let terms = Terms { filters: Filters { tools, ..Filters::default() }, ..Terms::default() };
    let union = of_offers(vec![Offer { terms, ..fake.offer() }]);
    // Also before its list is known.
    let error = call(&union, "s__rm").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "unknown tool: s__rm"));
    let list = look(&union, What::Tools, "").await.unwrap();
    assert!(list.starts_with(r#"{"tools":[{"name":"s__read"},{"name":"s__rm_all"}],"#), "{list}");
    let alone = union.single("s").unwrap();
    for (catalog, name, expected) in [
        (&union, "s__rm", false),
        (&union, "s__drop_table", false),
        (&alone, "rm", false),
        (&union, "s__rm_all", true),
        (&alone, "read", true),
    ] {
        assert_eq!(call(catalog, name).await.is_ok(), expected, "{name}");
    }
    assert!(fake.calls.lock().iter().all(|call| matches!(&*call.name, "read" | "rm_all")));
}

#[tokio::test]
async fn annotations_count_as_far_as_they_are_believed() {
    let fake = Fake::new("s").says(&[(
        "tools/list",
        r#"{"tools":[{"name":"get_a","annotations":{"readOnlyHint":true}},{"name":"put_a","annotations":{"idempotentHint":true}},{"name":"post_a"}]}"#,
    )]);
    for (trusted, patterns, expected) in [
        (true, vec![], [(Repeat::Safe, true), (Repeat::Safe, false), (Repeat::Unsafe, false)]),
        (false, vec![], [(Repeat::Unsafe, false); 3]),
        (true, vec!["other"], [(Repeat::Safe, false), (Repeat::Safe, false), (Repeat::Unsafe, false)]),
        (false, vec!["*"], [(Repeat::Unsafe, true), (Repeat::Unsafe, false), (Repeat::Unsafe, false)]),
        (true, vec!["get_*", "post_a"], [(Repeat::Safe, true), (Repeat::Safe, false), (Repeat::Unsafe, true)]),
    ] {
        let cached_tools = patterns.into_iter().map(str::to_owned).collect();
        let offer = Offer { trusted, cached_tools, ..fake.offer() };
        let union = of_offers(vec![offer]);
        look(&union, What::Tools, "").await.unwrap();
        fake.calls.lock().clear();
        for name in ["s__get_a", "s__put_a", "s__post_a"] {
            call(&union, name).await.unwrap();
        }
        let mut retried = ToolCall::new("s__get_a", None);
        retried.extra = Some(raw(r#"{"_meta":{},"requestState":"x"}"#));
        union.call(&cx(), retried).await.unwrap();
        assert!(!fake.calls.lock().pop().unwrap().keep, "a later round is never kept");
        let marks: Vec<_> = fake.calls.lock().iter().map(|call| (call.repeat, call.keep)).collect();
        assert_eq!(marks, expected);
    }
}

#[tokio::test]
async fn resources_belong_to_who_lists_them_first() {
    let one = Fake::new("one").says(&[
        ("resources/list", r#"{"resources":[{"uri":"x:both","name":"1"},{"uri":"x:one"}]}"#),
        ("resources/templates/list", r#"{"resourceTemplates":[]}"#),
        ("resources/read", r#"{"contents":["one"]}"#),
    ]);
    let two = Fake::new("two").says(&[
        ("resources/list", r#"{"resources":[{"uri":"x:both","name":"2"},{"uri":"x:two"}]}"#),
        ("resources/templates/list", r#"{"resourceTemplates":[{"uriTemplate":"t://{id}/z"}]}"#),
        ("resources/read", r#"{"contents":["two"]}"#),
        ("completion/complete", r#"{"completion":{"values":["two"]}}"#),
    ]);
    let union = catalog(&[&one, &two]);
    let list = look(&union, What::Resources, "").await.unwrap();
    assert!(
        list.starts_with(r#"{"resources":[{"uri":"x:both","name":"1"},{"uri":"x:one"},{"uri":"x:two"}],"#),
        "{list}"
    );
    for (uri, expected) in [("x:both", Some("one")), ("x:two", Some("two")), ("t://7/z", Some("two")), ("y:", None)] {
        let read = look(&union, What::Resource, &format!(r#"{{"uri":"{uri}"}}"#)).await;
        assert_eq!(read.ok(), expected.map(|name| format!(r#"{{"contents":["{name}"]}}"#)), "{uri}");
    }
    let params = r#"{"ref":{"type":"ref/resource","uri":"t://{id}/z"},"argument":{"name":"id","value":"7"}}"#;
    assert!(look(&union, What::Completion, params).await.is_ok());
    assert_eq!(two.asked.lock().last().unwrap(), &format!("completion/complete {params}"));
}

#[tokio::test]
async fn prompts_and_their_completions_lose_the_prefix_on_the_way() {
    let fake = Fake::new("s").says(&[
        ("prompts/list", r#"{"prompts":[{"name":"hi"}]}"#),
        ("prompts/get", r#"{"messages":[]}"#),
        ("completion/complete", r#"{"completion":{"values":[]}}"#),
    ]);
    let union = catalog(&[&fake]);
    look(&union, What::Prompts, "").await.unwrap();
    look(&union, What::Prompt, r#"{"x":1.0,"name":"s__hi"}"#).await.unwrap();
    assert_eq!(fake.asked.lock().last().unwrap(), r#"prompts/get {"x":1.0,"name":"hi"}"#);
    let params = r#"{"ref":{"type":"ref/prompt","name":"s__hi"},"argument":{"name":"a","value":"b"}}"#;
    look(&union, What::Completion, params).await.unwrap();
    assert_eq!(fake.asked.lock().last().unwrap(), &format!("completion/complete {}", params.replace("s__", "")));
    for (what, params) in [(What::Prompt, r#"{"name":"s__ho"}"#), (What::Prompt, r#"{"name":"t__hi"}"#)] {
        assert_eq!(look(&union, what, params).await.unwrap_err().kind(), Kind::NotFound);
    }
    for params in ["", "{}", r#"{"name":1}"#] {
        assert_eq!(look(&union, What::Prompt, params).await.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_delays_a_list_at_most_once_and_shortly() {
    let slow = Fake::new("slow").on_lookup(|_, _| async {
        sleep(Duration::from_secs(12)).await;
        Ok(Answer::new(raw(r#"{"tools":[{"name":"x"}],"ttlMs":60000}"#)))
    });
    let quick = Fake::new("quick").says(&[("tools/list", r#"{"tools":[{"name":"now"}],"ttlMs":1}"#)]);
    let union = catalog(&[&slow, &quick]);

    let begun = Instant::now();
    let first = look(&union, What::Tools, "").await.unwrap();
    assert!(begun.elapsed() >= FIRST_WAIT && begun.elapsed() < FIRST_WAIT + Duration::from_secs(1));
    assert!(
        first.starts_with(r#"{"tools":[{"name":"quick__now"}],"ttlMs":0"#),
        "left out, and said to be old: {first}"
    );

    sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    let second = look(&union, What::Tools, "").await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(10), "the refresh went on");
    assert!(second.contains("slow__x") && second.contains("quick__now"));

    slow.change(|revision| revision.tools += 1);
    let begun = Instant::now();
    assert!(look(&union, What::Tools, "").await.unwrap().contains("slow__x"));
    assert!(begun.elapsed() >= KNOWN_WAIT && begun.elapsed() < KNOWN_WAIT + Duration::from_secs(1));

    *slow.state.lock() = ServerState::BackingOff;
    advance(Duration::from_secs(100)).await;
    let begun = Instant::now();
    assert!(look(&union, What::Tools, "").await.unwrap().contains("slow__x"));
    assert!(begun.elapsed() < Duration::from_millis(10), "what is away is not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_at_its_start_is_waited_for_once_by_all_lists_and_heard_when_it_is_up() {
    let hanging = Fake::new("hanging").on_lookup(|_, _| async {
        sleep(Duration::from_secs(3)).await;
        Ok(Answer::new(raw(ONE_TOOL)))
    });
    *hanging.state.lock() = ServerState::Starting;
    let quick = Fake::new("quick").says(&[("tools/list", ONE_TOOL)]);
    let union = catalog(&[&hanging, &quick]);
    let all = [What::Tools, What::Resources, What::ResourceTemplates, What::Prompts];

    let begun = Instant::now();
    for what in all {
        look(&union, what, "").await.unwrap();
    }
    assert!(begun.elapsed() <= FIRST_WAIT + Duration::from_millis(10), "{:?}", begun.elapsed());
    look(&union, What::Tools, "").await.unwrap();
    look(&union, What::Tools, "").await.unwrap();
    assert!(begun.elapsed() <= FIRST_WAIT + Duration::from_millis(10), "{:?}", begun.elapsed());

    for wait in [0, 1, 100] {
        sleep(Duration::from_secs(wait)).await;
        for what in all {
            let begun = Instant::now();
            assert!(!look(&union, what, "").await.unwrap().contains("hanging"));
            assert!(begun.elapsed() < Duration::from_millis(10), "{what:?} after {wait} s: {:?}", begun.elapsed());
        }
    }

    sleep(2 * FETCH_TIME).await;
    assert!(hanging.asked.lock().is_empty(), "what is asked too early counts as a fault");
    *hanging.state.lock() = ServerState::Ready;
    let mut changes = union.changes();
    hanging.change(|revision| *revision = revision.anew());
    assert!(changes.next().await.tools);
    let list = look(&union, What::Tools, "").await.unwrap();
    assert!(list.contains("hanging__now") && list.contains("quick__now"), "{list}");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_fetched_when_it_changed_or_its_time_passed_and_by_one_only() {
    let fake = Fake::new("s").on_lookup(|_, _| async {
        sleep(Duration::from_secs(1)).await;
        Ok(Answer::new(raw(r#"{"tools":[],"ttlMs":30000}"#)))
    });
    let union = catalog(&[&fake]);
    let fetched = || fake.asked.lock().len();
    join_all((0..100).map(|_| look(&union, What::Tools, ""))).await;
    assert_eq!(fetched(), 1);
    advance(Duration::from_secs(28)).await;
    look(&union, What::Tools, "").await.unwrap();
    assert_eq!(fetched(), 1, "fresh");
    advance(Duration::from_secs(3)).await;
    look(&union, What::Tools, "").await.unwrap();
    assert_eq!(fetched(), 2, "its time has passed");
    fake.change(|revision| revision.prompts += 1);
    look(&union, What::Tools, "").await.unwrap();
    assert_eq!(fetched(), 2, "another list has changed");
    fake.change(|revision| revision.tools += 1);
    look(&union, What::Tools, "").await.unwrap();
    assert_eq!(fetched(), 3, "it has changed");
}

#[tokio::test]
async fn what_a_server_does_not_have_is_empty_and_what_fails_is_told_where_it_stands_alone() {
    let fake = Fake::new("s");
    let union = catalog(&[&fake]);
    assert!(look(&union, What::Prompts, "").await.unwrap().starts_with(r#"{"prompts":[],"#));
    *fake.capabilities.lock() = Some(raw(r#"{"tools":{}}"#));
    let asked = fake.asked.lock().len();
    assert!(look(&union, What::Resources, "").await.unwrap().starts_with(r#"{"resources":[],"#));
    assert_eq!(fake.asked.lock().len(), asked, "it has said so");

    let broken = Fake::new("s").on_lookup(|_, _| async { Err(refusal(-32603, "boom")) });
    let union = catalog(&[&broken]);
    assert!(look(&union, What::Tools, "").await.unwrap().starts_with(r#"{"tools":[],"#));
    let error = look(&union.single("s").unwrap(), What::Tools, "").await.unwrap_err();
    assert_eq!((error.message(), error.upstream()), ("boom", Some(&Name::from("s"))));
    assert_eq!(look(&union, What::Tools, r#"{"cursor":"x"}"#).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn changes_are_heard_from_every_server() {
    let (one, two) = (Fake::new("one"), Fake::new("two"));
    let union = catalog(&[&one, &two]);
    let mut changes = union.changes();
    two.change(|revision| revision.tools += 1);
    one.change(|revision| *revision = revision.anew());
    assert_eq!(changes.next().await, Changed { tools: true, resources: true, prompts: true });
    two.change(|revision| revision.prompts += 1);
    assert_eq!(changes.next().await, Changed { prompts: true, ..Changed::default() });
}

#[tokio::test]
async fn arguments_that_headers_repeat_are_found_by_a_chain_of_properties_only() {
    let fake = Fake::new("s").says(&[(
        "tools/list",
        r#"{"tools":[{"name":"q","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"properties":{"er":{"type":"string","x-mcp-header":"Er"}}},"list":{"items":{"type":"string","x-mcp-header":"No"}}}}}]}"#,
    )]);
    let union = catalog(&[&fake]);
    look(&union, What::Tools, "").await.unwrap();
    let found: Vec<_> =
        union.mirrors("s__q").iter().map(|mirror| (mirror.header.to_string(), mirror.path.join("."))).collect();
    assert_eq!(found, [("Region".to_owned(), "region".to_owned()), ("Er".to_owned(), "deep.er".to_owned())]);
}
