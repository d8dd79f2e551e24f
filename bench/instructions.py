#!/usr/bin/env python3
"""Counts the instructions that a target needs for a request, in its own code: figures that nothing else on the machine disturbs.

  python3 instructions.py ours chat1k msg1k --targets ours.json
  python3 instructions.py "ours->stdio, modern" --targets ours.json

Needs valgrind; the target runs under callgrind, on one core, and is asked on one connection. What the kernel does is not
counted. `callgrind_annotate` tells by function what the file says that is printed at the end of each line.
"""
import argparse
import http.client
import json
import re
import subprocess
import time
from pathlib import Path

import run

SCENARIOS = {"chat1k": "chat-1k", "chat40k": "chat-40k", "sse-burst": "chat-1k-stream",
             "msg1k": "msg-1k", "msg40k": "msg-40k", "msg-sse-burst": "msg-1k-stream"}
WARM_UP = 100
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": {}}


class Chats:
    """One line to a target, on which models are asked."""

    def __init__(self, target, scenario, folder):
        body = SCENARIOS[scenario]
        self.path = target.chat() if body.startswith("chat") else "/v1/messages"
        self.headers = {"content-type": "application/json", **dict(h.split(": ", 1) for h in target.headers())}
        self.question = (folder / f"{body}.json").read_bytes()
        self.line = http.client.HTTPConnection("127.0.0.1", target.spec["port"])

    def ask(self, times):
        for number in range(times):
            self.send(self.question.replace(b"@@SEQUENCE@@", str(number).encode()))

    def send(self, body):
        self.line.request("POST", self.path, body, self.headers)
        answer = self.line.getresponse()
        said = answer.read()
        assert said and answer.status in (200, 202), (answer.status, said)
        return answer, said


class Calls(Chats):
    """The same for tools: a session of its era, and a tool that says what it is told."""

    def __init__(self, target, *_):
        self.modern = target.spec.get("protocol") == "2026-07-28"
        self.path = target.mcp_path
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **dict(h.split(": ", 1) for h in target.headers())}
        self.headers["mcp-protocol-version"] = target.spec.get("protocol", "2025-06-18")
        self.line = http.client.HTTPConnection("127.0.0.1", target.spec["port"])
        if not self.modern:
            answer, _ = self.send(json.dumps(run.INITIALIZE).encode())
            self.headers["mcp-session-id"] = answer.getheader("mcp-session-id")
        self.tool = None
        while not self.tool:
            listed = self.rpc("tools/list", {}, 0)["result"]["tools"]
            self.tool = next((tool["name"] for tool in listed if tool["name"].endswith("echo")), None)

    def rpc(self, method, params, number):
        if self.modern:
            params = {"_meta": MODERN, **params}
            self.headers |= {"mcp-method": method, "mcp-name": params.get("name", "")}
        _, said = self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode())
        return json.loads(said)

    def ask(self, times):
        for number in range(times):
            assert self.rpc("tools/call", {"name": self.tool, "arguments": {"text": "hello"}}, number)["result"]["content"]


def count(target, scenario, requests, folder):
    """Instructions per request, and where callgrind wrote them down."""
    out = Path(target.run) / f"callgrind-{scenario}"
    for old in out.parent.glob(out.name + "*"):
        old.unlink()
    target.spec = {**target.spec, "slow_start": True}
    target.spec["cmd"] = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", *target.spec["cmd"]]
    target.start()
    control = lambda *told: subprocess.run(["callgrind_control", *told, str(target.proc.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    line = (Calls if target.kind == "mcp" else Chats)(target, scenario, folder)
    try:
        control("-i", "on")
        line.ask(WARM_UP)
        control("-z")
        line.ask(requests)
        control("-d")
        while not (found := [file for file in out.parent.glob(out.name + ".1*") if "totals" in file.read_text()]):
            time.sleep(0.2)
    finally:
        target.stop()
    return int(re.search(r"^(?:totals|summary): (\d+)", found[0].read_text(), re.M)[1]) / requests, found[0]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("target")
    a.add_argument("scenarios", nargs="*")
    a.add_argument("--targets", action="append", default=[], help="more targets (JSON file of the form of targets.json)")
    a.add_argument("--requests", type=int, default=200)
    a.add_argument("--run", default=str(run.BENCH / "target/run"))
    args = a.parse_args()
    kind, spec = next((kind, specs[args.target]) for kind, specs in run.load_targets(args).items() if args.target in specs)
    folder = Path(args.run) / "bodies"
    run.bodies(folder, spec.get("model", "mock-model"))
    mocks = {"llm": ["mock-llm", "--port", str(run.LLM)], "mcp": [run.SERVER, "http", "--port", str(run.MCP)]}
    name, *said = mocks[kind]
    mock = run.spawn([str(run.BIN / name), *said], run.LOAD_CORE)
    try:
        for scenario in args.scenarios or {"llm": list(SCENARIOS), "mcp": ["echo"]}[kind]:
            each, where = count(run.Target(kind, args.target, spec, args), scenario, args.requests, folder)
            print(f"{args.target} {scenario}: {each:,.0f} instructions per request   {where}", flush=True)
    finally:
        run.stop(mock)


if __name__ == "__main__":
    main()
