#!/usr/bin/env python3
"""Behaviour checks of MCP gateways, beside the speed figures of run.py: does the stateless protocol 2026-07-28 work,
and what is left after the stdio server behind the gateway has crashed (same session, new session)?

  python3 checks.py [TARGET ...]      targets of targets.json and of --targets FILE
"""
import argparse
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import run as R


def rpc(url, method, params, sid=None, timeout=15):
    body = {"jsonrpc": "2.0", "method": method, "params": params, **({} if method.startswith("notifications/") else {"id": 7})}
    h = {"content-type": "application/json", "accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18", **({"mcp-session-id": sid} if sid else {})}
    t0 = time.time()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), h), timeout=timeout) as r:
            return r.status, r.headers.get("mcp-session-id"), r.read().decode(), time.time() - t0
    except urllib.error.HTTPError as e:
        return e.code, None, e.read().decode(), time.time() - t0
    except OSError as e:
        return 0, None, repr(e), time.time() - t0


def session(url):
    _, sid, _, _ = rpc(url, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "checks", "version": "1"}})
    rpc(url, "notifications/initialized", {}, sid)
    return sid


def load(url, *extra):
    p = subprocess.run([str(R.BIN / "mcp-load"), "--http", url, "-d", "0.4", "-w", "0.1", "--timeout", "5", *extra], capture_output=True, text=True)
    return json.loads(p.stdout)


def check(t):
    t.start()
    url = t.base() + t.mcp_path
    d = load(url, "--protocol", "2026-07-28")
    print(f"{t.name}\n  stateless 2026-07-28: {'no: ' + d['fatal'][:110] if 'fatal' in d else 'yes' if d['ok'] and not d['errors'] else 'errors'}")
    if t.spec.get("upstream") == "http":
        return
    prefix = load(url)["tool"].removesuffix("echo")
    sid = session(url)
    code, _, text, took = rpc(url, "tools/call", {"name": prefix + "crash", "arguments": {}}, sid, timeout=35)
    print(f"  crash(): {code} after {took:.1f} s: {' '.join(text.split())[:130]}")
    for wait in (1, 10):
        time.sleep(wait)
        for label, s in (("same session", sid), ("new session", session(url))):
            code, _, text, took = rpc(url, "tools/call", {"name": prefix + "echo", "arguments": {"text": "still here"}}, s)
            print(f"  {label}, {wait} s later: {'works' if 'still here' in text else f'broken ({code})'}")
    if t.proc.poll() is not None:
        print("  the gateway itself has ended")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("names", nargs="*")
    a.add_argument("--run", default=str(R.BENCH / "target/run"))
    a.add_argument("--targets", action="append", default=[])
    args = a.parse_args()
    specs = R.load_targets(args)["mcp"]
    mock = R.spawn([str(R.BIN / "mock-mcp"), "http", "--port", str(R.MCP)], R.LOAD_CORE)
    try:
        for name in args.names or [n for n, s in specs.items() if not s.get("legacy_sse") and not s.get("setup") and not n.startswith("nginx")]:
            t = R.Target("mcp", name, specs[name], args)
            try:
                check(t)
            except Exception as e:  # one bad target must not end the run
                print(f"{name} FAILED: {e}")
            finally:
                t.stop()
    finally:
        R.stop(mock)


if __name__ == "__main__":
    main()
