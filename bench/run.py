#!/usr/bin/env python3
"""Measures gateways side by side: mocks and load generator on one core, the target on the other.

  python3 run.py llm [TARGET ...]        python3 run.py mcp [TARGET ...]
  python3 run.py report RESULTS.jsonl ...
  more targets: --targets FILE, of the same form as targets.json (README.md); ours.json is MCP Router itself.

Every figure is written as one JSON line; `report` prints the medians. Stdlib only.
"""
import argparse
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path

BENCH = Path(__file__).resolve().parent
BIN = BENCH / "target/release"
# What is measured of ours: the packaged build (`cargo xtask dist`).
DIST = Path(os.environ.get("CARGO_TARGET_DIR", BENCH.parent / "target")) / "dist"
LLM, MCP = 19000, 19100
# The process of an MCP server, whose time and memory are not its router's.
SERVER = "mock-mcp"
LOAD_CORE, TARGET_CORE = 0, 1
# Streams that are held open at once, and the size of the questions that opened them.
OPEN = [(1000, "1k"), (500, "200k")]
# Sessions of MCP that are held at once.
SESSIONS = 1000
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}}


def sh_env(path):
    pairs = [line.split("=", 1) for line in Path(path).read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(pairs)


def spawn(cmd, core, env=None, cwd=None, log=None):
    out = open(log, "wb") if log else subprocess.DEVNULL
    return subprocess.Popen(
        cmd, env={**os.environ, **(env or {})}, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def stop(p):
    """Ends the process group that spawn() made."""
    for sig, wait in ((signal.SIGTERM, 4), (signal.SIGKILL, 4)):
        try:
            os.killpg(p.pid, sig)
        except ProcessLookupError:
            return
        end = time.time() + wait
        while time.time() < end:
            p.poll()
            try:
                os.killpg(p.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def http(url, body=None, headers=(), timeout=10, method=None):
    r = urllib.request.Request(url, data=body, method=method)
    for h in headers:
        n, v = h.split(":", 1)
        r.add_header(n.strip(), v.strip())
    if body is not None:
        r.add_header("content-type", "application/json")
    with urllib.request.urlopen(r, timeout=timeout) as x:
        return x.status, x.read()


def cpu_ticks():
    rows = [line.split() for line in open("/proc/stat") if line.startswith("cpu") and line[3] != " "]
    return [(sum(map(int, r[1:4])) + sum(map(int, r[6:8])), int(r[8]), sum(map(int, r[1:9]))) for r in rows]


def wait_quiet(limit=90, below=0.10):
    """Waits until both cores are nearly idle; returns the busiest core's share in the last second."""
    end = time.time() + limit
    while True:
        a = cpu_ticks()
        time.sleep(1)
        b = cpu_ticks()
        busy = max((y[0] - x[0]) / max(1, y[2] - x[2]) for x, y in zip(a, b))
        if busy < below or time.time() > end:
            return round(busy, 3)


# ---- request bodies -------------------------------------------------------------------------------------------

WORDS = ("The gateway reads the file, checks the plan and edits the function so that every test passes again. " * 400)


def schema(i, n):
    return {"type": "object", "required": ["path"], "properties": {
        "path": {"type": "string", "description": WORDS[i * 7 : i * 7 + 120]},
        **{f"option_{k}": {"type": "string", "description": WORDS[k * 11 : k * 11 + 60]} for k in range(n)}}}


def bodies(out, model):
    """Writes chat/messages bodies of about 1 KB and 40 KB (a coding agent's request: long system prompt, 15 tools, history)."""
    out.mkdir(parents=True, exist_ok=True)
    tag = "Request number @@SEQUENCE@@. "
    small_sys, small_user = WORDS[:640], tag + WORDS[:60]
    names = ["Read", "Write", "Edit", "MultiEdit", "Glob", "Grep", "LS", "Bash", "Task", "WebSearch", "WebFetch", "NotebookRead", "NotebookEdit", "TodoRead", "TodoWrite"]
    big_sys = WORDS[:14000]
    turns = [("user", tag + WORDS[:1500]), ("assistant", WORDS[:1500]), ("user", WORDS[100:1600]), ("assistant", WORDS[:1200]), ("user", "Now fix the failing test.")]
    desc = lambda i: WORDS[i * 13 : i * 13 + 500]
    o_tools = [{"type": "function", "function": {"name": n, "description": desc(i), "parameters": schema(i, 5)}} for i, n in enumerate(names)]
    a_tools = [{"name": n, "description": desc(i), "input_schema": schema(i, 5)} for i, n in enumerate(names)]
    base = {"model": model, "max_tokens": 512, "temperature": 0.2}
    long_talk = [("user", tag + WORDS[:20000]), ("assistant", WORDS[:20000])] * 5 + [("user", WORDS[:2000])]
    made = {
        "chat-1k": {**base, "messages": [{"role": "system", "content": small_sys}, {"role": "user", "content": small_user}]},
        "chat-40k": {**base, "messages": [{"role": "system", "content": big_sys}] + [{"role": r, "content": c} for r, c in turns], "tools": o_tools},
        "msg-1k": {**base, "system": small_sys, "messages": [{"role": "user", "content": small_user}]},
        "chat-200k": {**base, "messages": [{"role": r, "content": c} for r, c in long_talk]},
        "msg-200k": {**base, "messages": [{"role": r, "content": [{"type": "text", "text": c}]} for r, c in long_talk]},
        "msg-40k": {**base, "system": [{"type": "text", "text": big_sys, "cache_control": {"type": "ephemeral"}}],
                    "messages": [{"role": r, "content": [{"type": "text", "text": c}]} for r, c in turns], "tools": a_tools},
    }
    for name, b in made.items():
        (out / f"{name}.json").write_text(json.dumps(b))
        (out / f"{name}-stream.json").write_text(json.dumps({**b, "stream": True}))
    return {n: (out / f"{n}.json").stat().st_size for n in made}


def listed(folder):
    """Writes what a router answers to tools/list before twenty servers of fifty tools each, for nginx to serve."""
    tool = lambda server, n: {
        "name": f"mock{server:02}__extra_{n}", "description": "A dummy tool with a description of an ordinary length, so that lists weigh what they weigh in practice.",
        "inputSchema": {"type": "object", "properties": {"query": {"type": "string", "description": "What to look for"}, "limit": {"type": "integer", "default": 10}}, "required": ["query"]}}
    tools = [tool(server, n) for server in range(20) for n in range(50)]
    folder.mkdir(parents=True, exist_ok=True)
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "echo", **{k: tools[0][k] for k in ("description", "inputSchema")}}, *tools[1:]], "serverInfo": {}}}
    (folder / "list.json").write_text(json.dumps(answer, separators=(",", ":")))


# ---- one target -----------------------------------------------------------------------------------------------


class Target:
    def __init__(self, kind, name, spec, args):
        self.kind, self.name, self.spec, self.args = kind, name, spec, args
        self.run = Path(args.run)
        self.proc = None
        self.extra_headers = []
        self.mcp_path = spec.get("path", "/mcp")

    def fill(self, s):
        return s.format(bench=BENCH, run=self.run, bin=BIN, dist=DIST, conf=self.spec.get("conf", BENCH),
                        rendered=self.run / "rendered", port=self.spec.get("port", ""))

    def render(self):
        """Copies the target's configuration files into the run folder, with @bin@ and @run@ filled in."""
        (self.run / "rendered").mkdir(parents=True, exist_ok=True)
        for name in self.spec.get("render", []):
            text = Path(self.spec.get("conf", BENCH), name).read_text()
            for word, value in {"bin": BIN, "run": self.run, **self.spec.get("fill", {})}.items():
                text = text.replace(f"@{word}@", str(value))
            (self.run / "rendered" / Path(name).name).write_text(text)

    def start(self):
        s = self.spec
        if "cmd" not in s:
            return 0.0
        self.render()
        for a, b in s.get("copy", []):
            shutil.copytree(self.fill(a), self.fill(b), dirs_exist_ok=True)
            for f in Path(self.fill(b)).rglob("*.json"):
                f.write_text(f.read_text().replace("@bin@", str(BIN)))
        if "port_file" in s:
            Path(self.fill(s["port_file"])).unlink(missing_ok=True)
        cwd = None
        if "fresh_dir" in s:
            cwd = self.fill(s["fresh_dir"])
            shutil.rmtree(cwd, ignore_errors=True)
            os.makedirs(cwd)
        env = {k: self.fill(v) for k, v in s.get("env", {}).items()}
        if "env_file" in s:
            env.update(sh_env(self.fill(s["env_file"])))
        if s.get("lists"):
            listed(self.run / "listed")
        t0 = time.perf_counter()
        self.proc = spawn([self.fill(c) for c in s["cmd"]], TARGET_CORE, env, cwd, self.run / f"{self.name.replace('>', '')}.log")
        while True:
            if self.proc.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.proc.returncode}, see its log in {self.run}")
            try:
                self.probe()
                return time.perf_counter() - t0
            except (OSError, urllib.error.URLError, FileNotFoundError, ValueError):
                if time.perf_counter() - t0 > 120:
                    raise
                time.sleep(0.2 if s.get("slow_start") else 0.001)

    def base(self):
        if "port_file" in self.spec:
            u = Path(self.fill(self.spec["port_file"])).read_text().strip()
            return "/".join(u.split("/")[:3])
        return f"http://127.0.0.1:{self.spec['port']}"

    def headers(self):
        return self.spec.get("headers", []) + self.extra_headers

    def probe(self):
        """One real request; the start is over when it succeeds."""
        if self.kind == "llm":
            path, body = (self.chat(), {"model": self.spec.get("model", "mock-model"), "messages": [{"role": "user", "content": "hi"}]})
            if path is None:
                path, body = "/v1/messages", {**body, "max_tokens": 10}
            _, b = http(self.base() + path, json.dumps(body).encode(), self.headers())
            if b"quick" not in b:
                raise ValueError("wrong answer")
        elif self.spec.get("setup"):
            http(self.base() + "/health")
            if not self.extra_headers:
                self.setup()
        elif self.spec.get("legacy_sse"):
            with urllib.request.urlopen(urllib.request.Request(self.base() + self.mcp_path, headers={"accept": "text/event-stream"}), timeout=5) as r:
                if b"event" not in r.readline():
                    raise ValueError("no event stream")
        else:
            _, b = http(self.base() + self.mcp_path, json.dumps(INITIALIZE).encode(), ["accept: application/json, text/event-stream"] + self.headers())
            if b"serverInfo" not in b:
                raise ValueError("wrong answer")

    def setup(self):
        """Runs the target's own set-up module (setup(target, http, mcp_port)), for gateways that are configured through an API."""
        spec = importlib.util.spec_from_file_location("setup", Path(self.spec["conf"], self.spec["setup"]))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.setup(self, http, MCP)

    def chat(self):
        return self.spec.get("chat", "/v1/chat/completions")

    def stop(self):
        if self.proc:
            stop(self.proc)
            self.proc = None
        self.extra_headers = []

    def pid(self):
        """The target's process tree, as the load generators are told of it: an MCP target without its servers."""
        return f"target={self.proc.pid}" + (f",{SERVER}" if self.kind == "mcp" else "")

    def rss(self):
        """(RSS, PSS) of the process tree in MiB; of an MCP target without its servers."""
        if not self.proc:
            return 0, 0
        kids = {}
        for d in Path("/proc").iterdir():
            if d.name.isdigit():
                try:
                    s = (d / "stat").read_text()
                    if self.kind != "mcp" or f"({SERVER})" not in s:
                        kids.setdefault(int(s[s.rindex(")") + 2 :].split()[1]), []).append(int(d.name))
                except OSError:
                    pass
        todo, rss, pss = [self.proc.pid], 0, 0
        while todo:
            p = todo.pop()
            todo += kids.get(p, [])
            try:
                f = dict(line.split(":", 1) for line in Path(f"/proc/{p}/smaps_rollup").read_text().splitlines()[1:])
                rss += int(f["Rss"].split()[0])
                pss += int(f["Pss"].split()[0])
            except (OSError, KeyError):
                pass
        return round(rss / 1024, 1), round(pss / 1024, 1)


class Runner:
    def __init__(self, args):
        self.args = args
        Path(args.run).mkdir(parents=True, exist_ok=True)
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        self.out = open(args.out, "a")
        self.mocks = {}

    def mock(self, name, cmd):
        if name not in self.mocks:
            self.mocks[name] = spawn(cmd, LOAD_CORE)
            time.sleep(0.3)
        return self.mocks[name].pid

    def emit(self, **kw):
        kw["at"] = time.strftime("%H:%M:%S")
        self.out.write(json.dumps(kw) + "\n")
        self.out.flush()

    def wanted(self, scenario):
        return not self.args.only or any(x in scenario for x in self.args.only.split(","))

    def load(self, target, scenario, cmd, rep, note=None):
        """One load run. Repeated when others used more than a fifth of a core meanwhile, or the host gave that much of ours
        to its other guests; the quietest is kept."""
        if not self.wanted(scenario):
            return None
        best = None
        for _ in range(1 if self.args.hasty else 3):
            quiet = None if self.args.hasty else wait_quiet()
            before, since = cpu_ticks(), time.time()
            p = subprocess.run(cmd, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}))
            stolen = sum(b[1] - a[1] for a, b in zip(before, cpu_ticks())) / os.sysconf("SC_CLK_TCK") / (time.time() - since)
            try:
                r = json.loads(p.stdout)
            except ValueError:
                r = {"fatal": (p.stdout + p.stderr)[-300:]}
            if "fatal" in r:
                self.emit(kind=self.args.kind, target=target.name, scenario=scenario, rep=rep, fatal=r["fatal"])
                print(f"  {target.name:28} {scenario:14} FAILED {r['fatal'][:150]}", flush=True)
                return None
            own = (sum(x["cpu_us"] for x in r["procs"].values()) + r["loadgen_cpu_us_per_req"] * r["requests"]) / 1e6
            total = sum(c["busy_pct"] for c in r["cpus"]) / 100 * r["secs"]
            r["others_cores"] = round(max(0.0, (total - own) / r["secs"]), 3)
            r["stolen_cores"] = round(stolen, 3)
            r["busy_before"] = quiet
            unquiet = lambda r: r["others_cores"] + r["stolen_cores"]
            if best is None or unquiet(r) < unquiet(best):
                best = r
            if unquiet(best) < 0.20:
                break
        r = best
        r["load1"] = os.getloadavg()[0]
        if note:
            r.update(note)
        self.emit(kind=self.args.kind, target=target.name, version=target.spec.get("version"), scenario=scenario, rep=rep, result=r)
        t = r["procs"].get("target", {})
        lat, ttfe = r["lat_us"] or {}, r.get("ttfe_us") or {}
        print(f"  {target.name:28} {scenario:14} rep{rep} rps {r['rps']:>9} p50 {lat.get('p50', 0):>9} p99 {lat.get('p99', 0):>10} ttfe {ttfe.get('p50', 0):>9} "
              f"cpu/req {t.get('cpu_us_per_req', 0):>9} cpu/ev {t.get('cpu_us_per_event', 0):>7} err {r['errors']} others {r['others_cores']} stolen {r['stolen_cores']} rss {t.get('rss_end_kb', 0) // 1024}", flush=True)
        return r

    def start_figures(self, t):
        """Median start time of five starts, and the memory of the last one at rest. Leaves the target running."""
        times = []
        for i in range(self.args.starts):
            if not self.args.hasty:
                wait_quiet()
            times.append(t.start())
            if i + 1 < self.args.starts:
                t.stop()
                time.sleep(0.3)
        time.sleep(4)
        rss, pss = t.rss()
        self.emit(kind=self.args.kind, target=t.name, version=t.spec.get("version"), scenario="start", start_s=[round(x, 3) for x in times], idle_rss_mib=rss, idle_pss_mib=pss)
        print(f"  {t.name:28} start {statistics.median(times):.3f} s, idle RSS {rss} MiB (PSS {pss})", flush=True)

    # -- LLM side

    def llm(self, t):
        mock = self.mock("llm", [str(BIN / "mock-llm"), "--port", str(LLM)])
        mock_url = f"http://127.0.0.1:{LLM}"
        work = Path(self.args.run) / f"bodies-{t.name}"
        bodies(work, t.spec.get("model", "mock-model"))
        if t.spec.get("cmd"):
            self.start_figures(t)
        d, w = str(self.args.duration), "1"
        pids = ["--pid", f"mock={mock}"] + (["--pid", t.pid()] if t.proc else [])
        hdr = [x for h in t.headers() for x in ("-H", h)]
        base = t.base()

        def go(scenario, path, body, conns, rep, rps=None, sse=None, chunk_delay=0):
            http(f"{mock_url}/__config?chunk_delay_ms={chunk_delay}&chunks=100", b"")
            cmd = [str(BIN / "loadgen"), base + path, "--body", str(work / f"{body}.json"), "-c", str(conns), "-d", d, "-w", w, *hdr, *pids]
            cmd += ["--rps", str(rps)] if rps else []
            cmd += ["--sse", "--min-events", "100"] if sse else ["--expect", "quick brown fox"]
            return self.load(t, scenario, cmd, rep)

        if t.proc and self.wanted("open-streams"):
            fronts = [("chat", t.chat())] if t.chat() else []
            fronts += [("msg", "/v1/messages")] if t.spec.get("anthropic") else []
            for front, path in fronts:
                for streams, size in OPEN:
                    self.open_streams(t, base + path, work / f"{front}-{size}-stream.json", streams, mock_url, hdr)
            pids[-1] = t.pid()
        for rep in range(1, self.args.reps + 1):
            top = 0
            if t.chat():
                r = go("chat1k-c16", t.chat(), "chat-1k", 16, rep)
                top = r["rps"] if r else 0
                go("chat1k-c64", t.chat(), "chat-1k", 64, rep)
                for rps in (50, 200, 1000):
                    if (rps > 50 or top < 250) and top > rps * 1.15:
                        go(f"chat1k-{rps}rps", t.chat(), "chat-1k", 64, rep, rps=rps)
                r = go("chat40k-c16", t.chat(), "chat-40k", 16, rep)
                if r and r["rps"] > 230:
                    go("chat40k-200rps", t.chat(), "chat-40k", 64, rep, rps=200)
                go("sse-burst-c16", t.chat(), "chat-1k-stream", 16, rep, sse=True)
                # 10 ms between events: 20 streams/s = 2,000 events/s; 64 streams at once = 6,400 events/s.
                go("sse-paced-5sps", t.chat(), "chat-1k-stream", 64, rep, rps=5, sse=True, chunk_delay=10)
                go("sse-paced-c64", t.chat(), "chat-1k-stream", 64, rep, sse=True, chunk_delay=10)
            if t.spec.get("anthropic"):
                r = go("msg1k-c16", "/v1/messages", "msg-1k", 16, rep)
                for rps in (50, 200, 1000):
                    if r and (rps > 50 or r["rps"] < 250) and r["rps"] > rps * 1.15:
                        go(f"msg1k-{rps}rps", "/v1/messages", "msg-1k", 64, rep, rps=rps)
                go("msg40k-c16", "/v1/messages", "msg-40k", 16, rep)
                go("msg-sse-burst-c16", "/v1/messages", "msg-1k-stream", 16, rep, sse=True)
                go("msg-sse-paced-5sps", "/v1/messages", "msg-1k-stream", 64, rep, rps=5, sse=True, chunk_delay=10)
                go("msg-sse-paced-c64", "/v1/messages", "msg-1k-stream", 64, rep, sse=True, chunk_delay=10)
        self.finish(t)

    def open_streams(self, t, url, body, streams, mock_url, hdr):
        """Memory of the target, started anew, while it holds streams open, each with an event every half second."""
        http(f"{mock_url}/__config?chunk_delay_ms=500&chunks=100", b"")
        t.stop()
        t.start()
        time.sleep(2)
        idle, _ = t.rss()
        cmd = [str(BIN / "loadgen"), url, "--body", str(body), "-c", str(streams), "-d", "10", "-w", "10", "--sse", *hdr]
        load = spawn(cmd, LOAD_CORE)
        try:
            for _ in range(100):
                time.sleep(0.2)
                if json.loads(http(f"{mock_url}/__stats")[1])["in_flight"] >= streams:
                    break
            time.sleep(3)
            held = json.loads(http(f"{mock_url}/__stats")[1])["in_flight"]
            rss, _ = t.rss()
        finally:
            stop(load)
            http(f"{mock_url}/__config?chunk_delay_ms=0&chunks=100", b"")
            time.sleep(1)
        above = round(rss - idle, 1)
        self.emit(kind="llm", target=t.name, scenario="open", body=body.stem, streams=held, idle_rss_mib=idle, open_rss_mib=rss, above_idle_mib=above)
        print(f"  {t.name:28} {held} open streams of {body.stem}: RSS {rss} MiB, {above} above idle", flush=True)

    # -- MCP side

    def mcp(self, t):
        mock = self.mock("mcp", [str(BIN / "mock-mcp"), "http", "--port", str(MCP)])
        if t.spec.get("cmd"):
            self.start_figures(t)
        pids = ["--pid", f"mock={mock}"] + (["--pid", t.pid()] if t.proc else [])
        hdr = [x for h in t.headers() for x in ("-H", h)]
        protocol = t.spec.get("protocol", "2025-06-18")
        if "fill" in t.spec and protocol != "2026-07-28" and self.wanted("sessions"):
            self.sessions(t)
            pids[-1] = t.pid()
        scenarios = [("echo-s1", ["-s", "1"]), ("echo-s16", ["-s", "16"]), ("echo-s1k16", ["-s", "1", "-k", "16"]), ("session-churn", ["-s", "4", "--churn"])]
        if t.spec.get("lists"):
            scenarios = [("list-1000", ["-s", "4", "--rpc", "tools/list", "--expect", "extra_43"])]
        for rep in range(1, self.args.reps + 1):
            for scenario, extra in scenarios:
                cmd = [str(BIN / "mcp-load"), *extra, "-d", str(self.args.duration), "--protocol", protocol, *hdr, *pids]
                if t.spec.get("stdio"):
                    if "churn" in scenario or scenario == "echo-s16":
                        continue
                    cmd += ["--", str(BIN / SERVER), "stdio"]
                elif t.spec.get("legacy_sse"):
                    if "churn" in scenario:
                        continue
                    cmd += ["--sse", t.base() + t.mcp_path]
                else:
                    cmd += ["--http", t.base() + t.mcp_path]
                self.load(t, scenario, cmd, rep)
        self.finish(t)

    def sessions(self, t):
        """Memory of the target, started anew, for each legacy session that nobody uses, and for each that has its stream open."""
        t.stop()
        t.start()
        time.sleep(2)
        idle, _ = t.rss()
        line = HTTPConnection("127.0.0.1", t.spec["port"])
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **dict(h.split(": ", 1) for h in t.headers())}
        ids = []
        for _ in range(SESSIONS):
            line.request("POST", t.mcp_path, json.dumps(INITIALIZE), headers)
            answer = line.getresponse()
            answer.read()
            ids.append(answer.getheader("mcp-session-id"))
        time.sleep(2)
        without = t.rss()[0] - idle
        streams = []
        for name in ids:
            stream = HTTPConnection("127.0.0.1", t.spec["port"])
            stream.request("GET", t.mcp_path, headers={**headers, "mcp-session-id": name})
            streams.append((stream, stream.getresponse()))
        assert all(answer.status == 200 for _, answer in streams)
        time.sleep(2)
        listening = t.rss()[0] - idle
        for stream, answer in streams:
            answer.close()
            stream.close()
        line.close()
        each = lambda mib: round(mib * 1024 / SESSIONS, 1)
        self.emit(kind="mcp", target=t.name, scenario="sessions", sessions=SESSIONS, idle_kib=each(without), listening_kib=each(listening))
        print(f"  {t.name:28} {SESSIONS} sessions: {each(without)} KiB each, {each(listening)} with an open stream", flush=True)

    def finish(self, t):
        if t.proc:
            time.sleep(2)
            rss, pss = t.rss()
            self.emit(kind=self.args.kind, target=t.name, scenario="end", end_rss_mib=rss, end_pss_mib=pss)
            print(f"  {t.name:28} RSS after all runs {rss} MiB (PSS {pss})", flush=True)
        t.stop()

    def close(self):
        for p in self.mocks.values():
            stop(p)


DIRECT = {"llm": {"direct": {"port": LLM, "anthropic": "native", "version": "-"}},
          "mcp": {"direct-http": {"port": MCP, "version": "-"}, "direct-stdio": {"port": MCP, "stdio": True, "version": "-"}}}


def load_targets(args):
    """Targets of targets.json and of every --targets file; a target's files are looked for beside the file that names it."""
    found = {"llm": {}, "mcp": {}}
    for f in [BENCH / "targets.json", *map(Path, args.targets)]:
        for kind, specs in json.loads(f.read_text()).items():
            if kind in found:
                found[kind].update({name: {"conf": str(f.resolve().parent), **spec} for name, spec in specs.items()})
    return found


def measure(args):
    specs = dict(DIRECT[args.kind])
    specs.update(load_targets(args)[args.kind])
    r = Runner(args)
    try:
        for name in args.names or list(specs):
            t = Target(args.kind, name, specs[name], args)
            print(f"{name} {specs[name].get('version', '')}  load {os.getloadavg()}", flush=True)
            try:
                getattr(r, args.kind)(t)
            except Exception as e:  # one bad target must not end the run
                r.emit(kind=args.kind, target=name, scenario="start", fatal=str(e))
                print(f"  {name} FAILED: {e}", flush=True)
            finally:
                t.stop()
    finally:
        r.close()


# ---- report ---------------------------------------------------------------------------------------------------


def report(files):
    rows, meta = {}, {}
    for f in files:
        for line in open(f):
            v = json.loads(line)
            key = (v["kind"], v["target"])
            m = meta.setdefault(key, {})
            if v.get("fatal"):
                m.setdefault("fatal", []).append(f"{v['scenario']}: {v['fatal'][:120]}")
            elif v["scenario"] == "start":
                m.update(start=statistics.median(v["start_s"]), idle=v["idle_rss_mib"], idle_pss=v["idle_pss_mib"], version=v.get("version"))
            elif v["scenario"] == "open":
                m.setdefault("open", []).append(f"{v['streams']:,} {v['body'].removesuffix('-stream')}: {v['above_idle_mib']:,.1f}")
            elif v["scenario"] == "sessions":
                m.setdefault("open", []).append(f"a session {v['idle_kib']:,.1f} KiB, with its stream {v['listening_kib']:,.1f}")
            elif v["scenario"] == "end":
                m.update(end=v["end_rss_mib"], end_pss=v["end_pss_mib"])
            else:
                rows.setdefault(v["scenario"], {}).setdefault(key, []).append(v["result"])
    med = lambda xs: statistics.median(xs) if xs else None
    opened = lambda m: "; ".join(m.get("open", ["-"]))
    fmt = lambda x, n=0: "-" if x is None else f"{x:,.{n}f}"

    for kind in ("llm", "mcp"):
        ms = {k[1]: m for k, m in meta.items() if k[0] == kind}
        if not ms:
            continue
        print(f"\n### {kind}: start and memory\n\n| target | version | start to first answer, s | idle RSS, MiB | idle PSS | RSS of what is open, above idle, MiB | RSS after all runs | notes |\n|---|---|---|---|---|---|---|---|")
        for n, m in ms.items():
            print(f"| {n} | {m.get('version') or ''} | {fmt(m.get('start'), 3)} | {fmt(m.get('idle'), 1)} | {fmt(m.get('idle_pss'), 1)} | {opened(m)} | {fmt(m.get('end'), 1)} | {'; '.join(m.get('fatal', []))} |")
        for sc, by in rows.items():
            by = {k[1]: v for k, v in by.items() if k[0] == kind}
            if not by:
                continue
            ref = next((n for n in by if n.startswith("nginx")), None)
            cpu = {n: med([r["procs"].get("target", {}).get("cpu_us_per_req") for r in v if "target" in r["procs"]] or [None]) if any("target" in r["procs"] for r in v) else None for n, v in by.items()}
            sse = any(r.get("ttfe_us") for v in by.values() for r in v)
            head = ["target", "ok/s", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs/req", "× nginx CPU"]
            if sse:
                head += ["events/s", "TTFT p50 µs", "TTFT p99 µs", "CPU µs/event"]
            head += ["errors", "runs", "others' cores", "stolen cores"]
            print(f"\n### {kind}: {sc}\n\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
            for n, v in by.items():
                lat = lambda q, key="lat_us": med([r[key][q] for r in v if r.get(key)])
                row = [n, fmt(med([r["rps"] for r in v])), fmt(lat("p50")), fmt(lat("p99")), fmt(lat("p999")), fmt(cpu[n], 1), fmt(cpu[n] / cpu[ref], 1) if ref and cpu[n] and cpu.get(ref) else "-"]
                if sse:
                    row += [fmt(med([r["events_per_s"] for r in v])), fmt(lat("p50", "ttfe_us")), fmt(lat("p99", "ttfe_us")),
                            fmt(med([r["procs"]["target"].get("cpu_us_per_event") for r in v if r["procs"].get("target", {}).get("cpu_us_per_event")]), 1)]
                row += [str(sum(r["errors"] for r in v)), str(len(v)), fmt(max(r.get("others_cores", 0) for r in v), 2), fmt(max(r.get("stolen_cores", 0) for r in v), 2)]
                print("| " + " | ".join(row) + " |")


def main():
    if sys.argv[1:2] == ["report"]:
        return report(sys.argv[2:])
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("kind", choices=["llm", "mcp"])
    a.add_argument("names", nargs="*")
    a.add_argument("--run", default=str(BENCH / "target/run"), help="logs, bodies, databases")
    a.add_argument("--out", default=str(BENCH / "results" / time.strftime("%Y%m%d-%H%M.jsonl")))
    a.add_argument("--targets", action="append", default=[], help="more targets (JSON file of the same form)")
    a.add_argument("--duration", type=float, default=4)
    a.add_argument("--reps", type=int, default=3)
    a.add_argument("--starts", type=int, default=5)
    a.add_argument("--hasty", action="store_true", help="waits for no quiet moment and repeats nothing: to train a build, not for figures")
    a.add_argument("--only", default="", help="scenarios whose name holds one of these (comma-separated)")
    measure(a.parse_args())


if __name__ == "__main__":
    main()
