//! What is kept of servers' answers, and who answers in their place.

use std::time::Duration;

use router_core::layer::{cache::CachePolicy, invalidate::Rule};

use super::*;
use crate::config::settings::{ServerCache, StandbySource};

fn rule(after: &str, forget: &[&str]) -> Rule {
    Rule { after: after.to_owned(), forget: forget.iter().map(|&pattern| pattern.to_owned()).collect() }
}

#[test]
fn what_is_kept_of_a_server() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let usual = CachePolicy { negative: Duration::from_secs(5), ..CachePolicy::default() };
    let kept = |policy| ServerCache { policy, tools: Vec::new(), invalidates: Vec::new(), purge: None };
    let text = "
      fresh: 2h
      redis: 3h
      revalidate: 1m
      negative: 1s
      max_entries: 50
      max_bytes: 1MiB
      max_entry_bytes: 8KiB
      tools: [search]
      shared: true
      invalidates: { 'create_*': [list_*, search], close: list_* }
      purge: 0 2 * * *
";
    let all = ServerCache {
        policy: CachePolicy {
            fresh: hours(2),
            second: hours(3),
            revalidate: Duration::from_mins(1),
            stale: hours(48),
            negative: Duration::from_secs(1),
            max_entries: 50,
            max_bytes: 1 << 20,
            max_entry_bytes: 8 << 10,
            shared: true,
        },
        tools: vec!["search".into()],
        invalidates: vec![rule("create_*", &["list_*", "search"]), rule("close", &["list_*"])],
        purge: Some("0 2 * * *".parse().unwrap()),
    };
    let minute = Duration::from_mins(1);
    for (text, expected) in [
        (text, all),
        (" {}", kept(usual)),
        // What replicas share is no older than what was written of freshness.
        (" { fresh: 1m }", kept(CachePolicy { fresh: minute, second: minute, stale: 24 * minute, ..usual })),
        (
            " { fresh: 1m, redis: 2m, stale: 3m }",
            kept(CachePolicy { fresh: minute, second: 2 * minute, stale: 3 * minute, ..usual }),
        ),
    ] {
        let config = load(&format!("mcpServers:\n  a:\n    command: x\n    cache:{text}"));
        assert_eq!(config.servers[0].cache, Some(expected), "{text}");
    }
}

#[test]
fn who_answers_in_place_of_a_server() {
    use StandbySource::{Backup, Default, Server, Skip, Stale};
    let config = load(
        "
mcpServers:
  a:
    command: x
    cache: { fresh: 1m }
    on_error: [stale, { server: b }, { default: Sorry. }]
    on_timeout: [stale, backup, default, { backup: /tmp }, skip]
    stale_max_age: 1h
    backup: /
    default: None.
  b: { command: x, on_error: skip, on_timeout: { default: Later. } }
  c: { command: x, cache: , on_error: stale }
",
    );
    let found = config.servers.iter().map(|server| (server.on_error.clone(), server.on_timeout.clone()));
    let hour = Duration::from_hours(1);
    let slow = vec![Stale(hour), Backup("/".into()), Default("None.".into()), Backup("/tmp".into()), Skip];
    let expected = [
        (vec![Stale(hour), Server("b".into()), Default("Sorry.".into())], Some(slow)),
        (vec![Skip], Some(vec![Default("Later.".into())])),
        (vec![Stale(Duration::MAX)], None),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let kept = config.servers[0].cache.as_ref().map(|cache| cache.policy.stale);
    assert_eq!(kept, Some(hour), "as long as it may be asked for");
}
