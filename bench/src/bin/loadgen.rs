//! HTTP load, closed loop (N connections) or open loop (fixed rate, latency from the scheduled moment).
//! Prints one JSON object.
use bench::http1::{RecvBuf, read_response, request_head, split_url};
use bench::procstat::{Target, Window, round2};
use bench::report::{Tally, clip, header_arg};
use bench::sse::EventLines;
use clap::Parser;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

#[derive(Parser)]
struct Opt {
    url: String,
    #[arg(long)]
    method: Option<String>,
    #[arg(short = 'H', long = "header", value_parser = header_arg)]
    headers: Vec<(String, String)>,
    /// File with the request body. The token @@SEQUENCE@@ in it is replaced by a running number of the same length.
    #[arg(long)]
    body: Option<std::path::PathBuf>,
    #[arg(short, long, default_value_t = 16)]
    connections: usize,
    /// Measured seconds.
    #[arg(short, long, default_value_t = 5.0)]
    duration: f64,
    /// Seconds before the measured window.
    #[arg(short, long, default_value_t = 1.0)]
    warmup: f64,
    /// Open loop: requests a second.
    #[arg(short, long)]
    rps: Option<f64>,
    /// The answer is an event stream: count events, time the first one.
    #[arg(long)]
    sse: bool,
    /// Count streams with fewer `data:` events than this as errors.
    #[arg(long, default_value_t = 0)]
    min_events: u64,
    /// Count answers without this text as errors.
    #[arg(long)]
    expect: Option<String>,
    /// Process to account for, with its children: PID or NAME=PID; repeatable.
    #[arg(long = "pid")]
    pids: Vec<Target>,
    /// Seconds until a request counts as timed out.
    #[arg(long, default_value_t = 30.0)]
    timeout: f64,
    /// Open a new connection for every request.
    #[arg(long)]
    no_keepalive: bool,
    /// Free text copied to the report.
    #[arg(long, default_value = "")]
    label: String,
}

const TOKEN: &[u8] = b"@@SEQUENCE@@";

struct Job {
    addr: String,
    head: Vec<u8>,
    body: Vec<u8>,
    token_at: Option<usize>,
    expect: Option<memchr::memmem::Finder<'static>>,
    sse: bool,
    min_events: u64,
    timeout: Duration,
    keep_alive: bool,
}

/// State of the measured window: requests that finish while it is open are counted.
struct Run {
    measuring: Cell<bool>,
    stop: Cell<bool>,
    seq: Cell<u64>,
    tally: RefCell<Tally>,
}

struct Client {
    job: Rc<Job>,
    run: Rc<Run>,
    conn: Option<(TcpStream, RecvBuf)>,
    out: Vec<u8>,
    scratch: Vec<u8>,
}

impl Client {
    fn new(job: Rc<Job>, run: Rc<Run>) -> Self {
        Self { job, run, conn: None, out: Vec::new(), scratch: Vec::new() }
    }

    /// One request. `due` is the scheduled moment of the open loop.
    async fn request(&mut self, due: Option<Instant>) {
        let job = self.job.clone();
        let sent = Instant::now();
        let from = due.unwrap_or(sent);
        let r = tokio::time::timeout(job.timeout, self.exchange(sent)).await;
        if !matches!(r, Ok(Ok(_))) {
            self.conn = None;
        }
        if !self.run.measuring.get() {
            if !matches!(r, Ok(Ok(_))) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            return;
        }
        let failed = self.count(r, from, sent, Instant::now());
        if failed {
            // Do not spin on a target that refuses.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Books one outcome; true when the target did not answer with success.
    fn count(&self, r: Result<std::io::Result<Done>, tokio::time::error::Elapsed>, from: Instant, sent: Instant, now: Instant) -> bool {
        let job = &self.job;
        let mut t = self.run.tally.borrow_mut();
        match r {
            Err(_) => {
                t.count("timeout");
                true
            }
            Ok(Err(e)) => {
                t.count(format!("io:{:?}", e.kind()));
                true
            }
            Ok(Ok(done)) => {
                t.count(done.status.to_string());
                t.events += done.events;
                t.body_bytes += done.body_len;
                let content_bad = job.expect.as_ref().is_some_and(|f| f.find(&self.scratch).is_none());
                let short = job.sse && done.events < job.min_events;
                let ok = done.status / 100 == 2;
                if ok && content_bad {
                    t.bad_content += 1;
                } else if ok && short {
                    t.short_streams += 1;
                }
                if ok && !content_bad && !short {
                    t.ok += 1;
                    t.lat.add(now - from);
                    t.service.add(now - sent);
                    if let Some(f) = done.first {
                        t.ttfe.add(f - from);
                    }
                    if t.sample.is_none() {
                        t.sample = Some(clip(&self.scratch, 300));
                    }
                } else if t.bad_sample.is_none() {
                    t.bad_sample = Some(clip(&self.scratch, 500));
                }
                !ok
            }
        }
    }

    async fn exchange(&mut self, _sent: Instant) -> std::io::Result<Done> {
        let job = self.job.clone();
        if self.conn.is_none() {
            let s = TcpStream::connect(&job.addr).await?;
            s.set_nodelay(true)?;
            self.conn = Some((s, RecvBuf::default()));
        }
        let (s, buf) = self.conn.as_mut().expect("connected");
        let n = self.run.seq.get();
        self.run.seq.set(n + 1);
        self.out.clear();
        self.out.extend_from_slice(&job.head);
        self.out.extend_from_slice(&job.body);
        if let Some(at) = job.token_at {
            let at = job.head.len() + at;
            self.out[at..at + TOKEN.len()].copy_from_slice(format!("{n:012}").as_bytes());
        }
        s.write_all(&self.out).await?;
        let mut d = EventLines::default();
        let mut first = None;
        let scratch = &mut self.scratch;
        scratch.clear();
        // Whole bodies are kept only to be searched; otherwise the beginning is enough for the sample.
        let keep = if job.expect.is_some() { usize::MAX } else { 500 };
        let m = read_response(s, buf, |b| {
            if job.sse {
                d.feed(b);
                if first.is_none() && d.count > 0 {
                    first = Some(Instant::now());
                }
            }
            if scratch.len() < keep {
                scratch.extend_from_slice(b);
            }
            true
        })
        .await?;
        if !m.keep_alive || !job.keep_alive {
            self.conn = None;
        }
        Ok(Done { status: m.status, events: d.count, body_len: m.body_len, first })
    }
}

struct Done {
    status: u16,
    events: u64,
    body_len: u64,
    first: Option<Instant>,
}

/// Adds one permit at every scheduled moment; its own thread, because the runtime's timer has 1 ms steps.
fn ticker(sem: Arc<Semaphore>, t0: Instant, rps: f64, total: u64) {
    std::thread::spawn(move || {
        for i in 0..total {
            let due = t0 + Duration::from_secs_f64(i as f64 / rps);
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            if sem.is_closed() {
                return;
            }
            sem.add_permits(1);
        }
    });
}

async fn run(o: Opt) -> serde_json::Value {
    let (addr, path) = split_url(&o.url).unwrap_or_else(|e| fail(&e));
    let body = o.body.as_ref().map(|p| std::fs::read(p).unwrap_or_else(|e| fail(&format!("{}: {e}", p.display()))));
    let mut headers = o.headers.clone();
    let has = |hs: &[(String, String)], n: &str| hs.iter().any(|(k, _)| k.eq_ignore_ascii_case(n));
    if body.is_some() && !has(&headers, "content-type") {
        headers.push(("content-type".into(), "application/json".into()));
    }
    if !has(&headers, "accept") {
        headers.push(("accept".into(), if o.sse { "text/event-stream" } else { "*/*" }.into()));
    }
    if o.no_keepalive {
        headers.push(("connection".into(), "close".into()));
    }
    let method = o.method.clone().unwrap_or_else(|| if body.is_some() { "POST".into() } else { "GET".into() });
    let head = request_head(&method, &path, &addr, &headers, body.as_ref().map(Vec::len));
    let body = body.unwrap_or_default();
    let job = Rc::new(Job {
        token_at: memchr::memmem::find(&body, TOKEN),
        addr,
        head,
        expect: o.expect.as_ref().map(|e| memchr::memmem::Finder::new(e.as_bytes()).into_owned()),
        body,
        sse: o.sse,
        min_events: o.min_events,
        timeout: Duration::from_secs_f64(o.timeout),
        keep_alive: !o.no_keepalive,
    });
    let run = Rc::new(Run { measuring: Cell::new(false), stop: Cell::new(false), seq: Cell::new(0), tally: RefCell::default() });

    let sem = Arc::new(Semaphore::new(0));
    let t0 = Instant::now() + Duration::from_millis(20);
    let slot = Rc::new(Cell::new(0u64));
    let mut tasks = Vec::new();
    for _ in 0..o.connections {
        let mut c = Client::new(job.clone(), run.clone());
        let (run, sem, slot, rps) = (run.clone(), sem.clone(), slot.clone(), o.rps);
        tasks.push(tokio::task::spawn_local(async move {
            while !run.stop.get() {
                match rps {
                    None => c.request(None).await,
                    Some(rps) => {
                        let Ok(p) = sem.acquire().await else { return };
                        p.forget();
                        let i = slot.get();
                        slot.set(i + 1);
                        c.request(Some(t0 + Duration::from_secs_f64(i as f64 / rps))).await;
                    }
                }
            }
        }));
    }
    if let Some(rps) = o.rps {
        ticker(sem.clone(), t0, rps, (rps * (o.warmup + o.duration + 1.0)) as u64);
    }
    tokio::time::sleep(Duration::from_secs_f64(o.warmup)).await;
    let me = Target::new("me", std::process::id());
    let own0 = bench::procstat::cpu_us(&me);
    let w = Window::open(&o.pids);
    let begun = Instant::now();
    run.measuring.set(true);
    tokio::time::sleep(Duration::from_secs_f64(o.duration)).await;
    run.measuring.set(false);
    let secs = begun.elapsed().as_secs_f64();
    let own = bench::procstat::cpu_us(&me) - own0;
    let t = run.tally.take();
    let finished: u64 = t.by_status.values().sum();
    let acc = w.close(finished, o.sse.then_some(("cpu_us_per_event", t.events)));
    run.stop.set(true);
    sem.close();
    for x in tasks {
        x.abort();
    }
    json!({
        "label": o.label, "url": o.url, "mode": if o.rps.is_some() { "open" } else { "closed" }, "target_rps": o.rps,
        "connections": o.connections, "request_bytes": job.body.len(), "secs": round2(secs),
        "requests": finished, "ok": t.ok, "rps": round2(t.ok as f64 / secs), "errors": t.errors(),
        "by_status": t.by_status, "bad_content": t.bad_content, "short_streams": t.short_streams,
        "lat_us": t.lat.json(), "service_us": if o.rps.is_some() { t.service.json() } else { serde_json::Value::Null },
        "ttfe_us": if o.sse { t.ttfe.json() } else { serde_json::Value::Null },
        "events": t.events, "events_per_s": round2(t.events as f64 / secs),
        "body_bytes_per_req": t.body_bytes.checked_div(finished).unwrap_or(0),
        "loadgen_cpu_us_per_req": if finished > 0 { round2(own as f64 / finished as f64) } else { 0.0 },
        "procs": acc["procs"], "cpus": acc["cpus"], "sample": t.sample, "bad_sample": t.bad_sample,
    })
}

fn fail(msg: &str) -> ! {
    eprintln!("loadgen: {msg}");
    std::process::exit(2)
}

fn main() {
    let o = Opt::parse();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let v = tokio::task::LocalSet::new().block_on(&rt, run(o));
    println!("{v}");
}
