//! The metrics, by the names that dashboards know, with label values from closed sets.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use router_core::{
    Charge, Fact, Meter, Name, Observation,
    chat::Usage,
    layer::{breaker::State, guard::Standing},
};
use router_mcp::catalog::Tokens;

use super::bill::Bill;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    http_requests: Family<HttpLabels, Counter>,
    http_duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
    panics: Counter,
    calls: Family<CallLabels, Counter>,
    call_duration: Family<UpstreamLabels, Histogram, fn() -> Histogram>,
    first_content: Family<UpstreamLabels, Histogram, fn() -> Histogram>,
    response_time: Family<ServerLabels, Histogram, fn() -> Histogram>,
    tokens: Family<TokenLabels, Counter>,
    breaker_state: Family<ServerLabels, Gauge>,
    breaker_opens: Family<ServerLabels, Counter>,
    cache_hits: Family<ServerLabels, Counter>,
    cache_shared_hits: Family<ServerLabels, Counter>,
    cache_misses: Family<ServerLabels, Counter>,
    cache_stale_hits: Family<ServerLabels, Counter>,
    cache_semantic_hits: Family<ServerLabels, Counter>,
    saved_tokens: Family<TokenLabels, Counter>,
    saved_cost: Family<ServerLabels, Counter<f64, AtomicU64>>,
    timeouts: Family<ServerLabels, Counter>,
    retries: Family<ServerLabels, Counter>,
    rejections: Family<ServerLabels, Counter>,
    truncated: Family<ServerLabels, Counter>,
    tokens_available: Family<ServerLabels, Gauge>,
    fallbacks: Family<FallbackLabels, Counter>,
    lazy_saved: Family<ViewLabels, Counter>,
    lazy_spent: Family<ViewLabels, Counter>,
    bill: Bill,
    health_duration: Histogram,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HttpLabels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServerLabels {
    server: Label,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ViewLabels {
    view: Label,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    server: Label,
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    server: Label,
    operation: &'static str,
    source: &'static str,
    error_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    server: Label,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FallbackLabels {
    server: Label,
    strategy: &'static str,
}

/// A name from the configuration, shared, not copied.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Label(pub(super) Name);

impl prometheus_client::encoding::EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0])
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("mcp"),
            http_requests: Family::default(),
            http_duration: Family::new_with_constructor(seconds),
            panics: Counter::default(),
            calls: Family::default(),
            call_duration: Family::new_with_constructor(seconds),
            first_content: Family::new_with_constructor(seconds),
            response_time: Family::new_with_constructor(seconds),
            tokens: Family::default(),
            breaker_state: Family::default(),
            breaker_opens: Family::default(),
            cache_hits: Family::default(),
            cache_shared_hits: Family::default(),
            cache_misses: Family::default(),
            cache_stale_hits: Family::default(),
            cache_semantic_hits: Family::default(),
            saved_tokens: Family::default(),
            saved_cost: Family::default(),
            timeouts: Family::default(),
            retries: Family::default(),
            rejections: Family::default(),
            truncated: Family::default(),
            tokens_available: Family::default(),
            fallbacks: Family::default(),
            lazy_saved: Family::default(),
            lazy_spent: Family::default(),
            bill: Bill::default(),
            health_duration: seconds(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("http_requests", "Requests answered at the door", self.http_requests.clone());
        r.register("http_request_duration_seconds", "Until the last byte of the answer", self.http_duration.clone());
        r.register("panics", "Calls that ended in a defect of ours", self.panics.clone());
        r.register("external_api_calls", "Calls of upstreams, to their last byte", self.calls.clone());
        r.register(
            "external_api_duration_seconds",
            "Calls of upstreams, to their last byte",
            self.call_duration.clone(),
        );
        r.register("first_content_seconds", "Calls of upstreams, to their first content", self.first_content.clone());
        r.register("response_time_seconds", "Answers of upstreams, whatever the operation", self.response_time.clone());
        r.register("tokens", "Tokens as the providers tell them", self.tokens.clone());
        r.register("circuit_breaker_state", "0 closed, 1 half-open, 2 open", self.breaker_state.clone());
        r.register("circuit_breaker_opens", "Times a breaker opened", self.breaker_opens.clone());
        let semantic = "Answers that the copy of an answer to a question of the same meaning gave";
        r.register("cache_semantic_hits", semantic, self.cache_semantic_hits.clone());
        r.register("cache_saved_tokens", "Tokens that copies of answers saved", self.saved_tokens.clone());
        r.register("cache_saved_cost_usd", "US dollars that copies of answers saved", self.saved_cost.clone());
        r.register("cache_hits", "Answers that a fresh copy gave", self.cache_hits.clone());
        r.register("cache_shared_hits", "Answers that a fresh copy in Redis gave", self.cache_shared_hits.clone());
        r.register("cache_misses", "Answers that had to be asked for", self.cache_misses.clone());
        r.register("cache_stale_hits", "Answers that an old copy gave", self.cache_stale_hits.clone());
        r.register("timeouts", "Attempts that were too slow", self.timeouts.clone());
        r.register("retries", "Attempts after the first", self.retries.clone());
        r.register("rate_limit_rejections", "Calls that we refused for an upstream's sake", self.rejections.clone());
        r.register(
            "context_truncated",
            "Questions that were cut to the context window of their model",
            self.truncated.clone(),
        );
        r.register(
            "rate_limit_tokens_available",
            "Calls that the rate lets through at once",
            self.tokens_available.clone(),
        );
        r.register("fallbacks", "Answers that another source gave", self.fallbacks.clone());
        let saved = "Tokens by which lists of tools were shorter because tools are searched for";
        r.register("lazy_tokens_saved", saved, self.lazy_saved.clone());
        r.register("lazy_tokens_spent", "Tokens of what was found and described instead", self.lazy_spent.clone());
        self.bill.register(r);
        r.register("health_check_duration_seconds", "Time to answer /health", self.health_duration.clone());
    }

    /// A request was answered, to its last byte.
    pub fn request(&self, route: &'static str, status: u16, duration: Duration) {
        self.http_requests.get_or_create(&HttpLabels { route, status }).inc();
        self.http_duration.get_or_create(&RouteLabels { route }).observe(duration.as_secs_f64());
    }

    /// A call ended in a defect of ours.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Tools were searched for instead of listed.
    pub fn lazily(&self, view: &Name, tokens: Tokens) {
        let labels = ViewLabels { view: Label(Arc::clone(view)) };
        match tokens {
            Tokens::Saved(tokens) => _ = self.lazy_saved.get_or_create(&labels).inc_by(tokens),
            Tokens::Spent(tokens) => _ = self.lazy_spent.get_or_create(&labels).inc_by(tokens),
        }
    }

    /// How many tokens searching saved in a view, and how many it cost.
    pub fn lazy_tokens(&self, view: &Name) -> (u64, u64) {
        let labels = ViewLabels { view: Label(Arc::clone(view)) };
        (self.lazy_saved.get_or_create(&labels).get(), self.lazy_spent.get_or_create(&labels).get())
    }

    /// `/health` was answered.
    pub fn health_checked(&self, duration: Duration) {
        self.health_duration.observe(duration.as_secs_f64());
    }

    /// `upstream` exists: its breaker shows as closed, and what is counted of it as zero, before its first call.
    pub fn introduce(&self, upstream: &Name) {
        let labels = ServerLabels { server: Label(Arc::clone(upstream)) };
        self.breaker_state.get_or_create(&labels).set(0);
        let counters = [
            &self.breaker_opens,
            &self.cache_hits,
            &self.cache_shared_hits,
            &self.cache_misses,
            &self.cache_stale_hits,
            &self.timeouts,
            &self.retries,
            &self.rejections,
            &self.truncated,
        ];
        for counter in counters {
            let _ = counter.get_or_create(&labels);
        }
    }

    /// What the guards know. Models that the configuration does not name share the label of their provider, so a label
    /// tells the worst of its breakers, and the least that any of its rates would let through.
    pub fn stand(&self, standings: impl Iterator<Item = Standing>) {
        let mut labels: BTreeMap<Name, (i64, Option<u64>)> = BTreeMap::new();
        for Standing { name, state, tokens, .. } in standings {
            let (worst, least) = labels.entry(name).or_default();
            *worst = state_number(state).max(*worst);
            *least = [*least, tokens].into_iter().flatten().min();
        }
        for (name, (worst, least)) in labels {
            let labels = ServerLabels { server: Label(name) };
            self.breaker_state.get_or_create(&labels).set(worst);
            if let Some(tokens) = least {
                self.tokens_available.get_or_create(&labels).set(i64::try_from(tokens).unwrap_or(i64::MAX));
            }
        }
    }

    /// Everything, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# metrics could not be written: {error}\n"),
        }
    }
}

impl Meter for Metrics {
    fn charge(&self, charge: &Charge<'_>) {
        self.bill.charge(charge);
    }

    fn fact(&self, upstream: &Name, fact: Fact) {
        let labels = ServerLabels { server: Label(Arc::clone(upstream)) };
        match fact {
            Fact::Breaker(state) => {
                self.breaker_state.get_or_create(&labels).set(state_number(state));
                if state == State::Open {
                    self.breaker_opens.get_or_create(&labels).inc();
                }
            }
            Fact::CacheHit => _ = self.cache_hits.get_or_create(&labels).inc(),
            Fact::CacheShared => _ = self.cache_shared_hits.get_or_create(&labels).inc(),
            Fact::CacheMiss => _ = self.cache_misses.get_or_create(&labels).inc(),
            Fact::CacheStale => _ = self.cache_stale_hits.get_or_create(&labels).inc(),
            Fact::CacheSemantic => _ = self.cache_semantic_hits.get_or_create(&labels).inc(),
            Fact::SavedTokens(usage) => count_tokens(&self.saved_tokens, &labels.server, usage),
            Fact::SavedCost(dollars) => _ = self.saved_cost.get_or_create(&labels).inc_by(dollars.max(0.0)),
            Fact::TimedOut => _ = self.timeouts.get_or_create(&labels).inc(),
            Fact::Retried => _ = self.retries.get_or_create(&labels).inc(),
            Fact::Shed => _ = self.rejections.get_or_create(&labels).inc(),
            Fact::Truncated => _ = self.truncated.get_or_create(&labels).inc(),
            Fact::FellBack(strategy) => {
                let labels = FallbackLabels { server: labels.server, strategy: strategy.as_str() };
                self.fallbacks.get_or_create(&labels).inc();
            }
        }
    }

    fn observe(&self, upstream: &Name, seen: Observation) {
        let server = Label(Arc::clone(upstream));
        let labels = UpstreamLabels { server: server.clone(), operation: seen.operation };
        self.call_duration.get_or_create(&labels).observe(seen.duration.as_secs_f64());
        if let Some(first) = seen.first_content {
            self.first_content.get_or_create(&labels).observe(first.as_secs_f64());
        }
        self.response_time.get_or_create(&ServerLabels { server: server.clone() }).observe(seen.duration.as_secs_f64());
        let error_type = seen.failure.map_or("", |kind| kind.as_str());
        let source = seen.source.as_str();
        let operation = seen.operation;
        self.calls.get_or_create(&CallLabels { server: server.clone(), operation, source, error_type }).inc();
        count_tokens(&self.tokens, &server, seen.usage);
    }
}

fn count_tokens(tokens: &Family<TokenLabels, Counter>, server: &Label, usage: Usage) {
    for (kind, count) in usage.by_kind() {
        if count > 0 {
            tokens.get_or_create(&TokenLabels { server: server.clone(), kind }).inc_by(count);
        }
    }
}

const fn state_number(state: State) -> i64 {
    match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use router_core::{Source, Strategy};

    #[test]
    fn counts_what_layers_report_under_the_known_names() {
        let metrics = Metrics::new();
        let name: Name = "github".into();
        metrics.introduce(&name);
        metrics.fact(&name, Fact::Breaker(State::Open));
        metrics.fact(&name, Fact::FellBack(Strategy::Backup));
        metrics.observe(
            &name,
            Observation {
                operation: "chat",
                failure: None,
                duration: Duration::from_millis(3),
                first_content: None,
                source: Source::Live,
                usage: Usage { input: 7, ..Usage::default() },
            },
        );
        metrics.request("/ask", 200, Duration::from_millis(3));
        let text = metrics.text();
        for line in [
            r#"mcp_circuit_breaker_state{server="github"} 2"#,
            r#"mcp_circuit_breaker_opens_total{server="github"} 1"#,
            r#"mcp_fallbacks_total{server="github",strategy="backup"} 1"#,
            r#"mcp_external_api_calls_total{server="github",operation="chat",source="live",error_type=""} 1"#,
            r#"mcp_tokens_total{server="github",kind="input"} 7"#,
            r#"mcp_http_requests_total{route="/ask",status="200"} 1"#,
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_shared_label_tells_the_worst() {
        let metrics = Metrics::new();
        let standing = |state, tokens| Standing {
            stood_in: None,
            name: "openai".into(),
            state,
            since: Duration::ZERO,
            reopens_in: None,
            throttled_for: None,
            last_error: None,
            latency: None,
            in_flight: 0,
            waiting: 0,
            tokens,
        };
        let states = [(State::Closed, Some(9)), (State::Open, Some(4)), (State::HalfOpen, None)];
        metrics.stand(states.into_iter().map(|(state, tokens)| standing(state, tokens)));
        let text = metrics.text();
        for line in
            [r#"mcp_circuit_breaker_state{server="openai"} 2"#, r#"mcp_rate_limit_tokens_available{server="openai"} 4"#]
        {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
    }
}
