#!/usr/bin/env python3
"""Counts the instructions that a target needs for a request, in its own code: figures that nothing else on the machine disturbs.

  python3 instructions.py ours chat1k msg1k --targets ours.json

Needs valgrind; the target runs under callgrind, on one core, and is asked on one connection. What the kernel does is not
counted. `callgrind_annotate` tells by function what the file says that is printed at the end of each line.
"""
import argparse
import http.client
import re
import subprocess
import time
from pathlib import Path

import run

SCENARIOS = {"chat1k": "chat-1k", "chat40k": "chat-40k", "sse-burst": "chat-1k-stream",
             "msg1k": "msg-1k", "msg40k": "msg-40k", "msg-sse-burst": "msg-1k-stream"}
WARM_UP = 100


def count(target, scenario, requests, folder):
    """Instructions per request, and where callgrind wrote them down."""
    out = Path(target.run) / f"callgrind-{scenario}"
    for old in out.parent.glob(out.name + "*"):
        old.unlink()
    target.spec = {**target.spec, "slow_start": True}
    target.spec["cmd"] = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", *target.spec["cmd"]]
    target.start()
    control = lambda *told: subprocess.run(["callgrind_control", *told, str(target.proc.pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    body = SCENARIOS[scenario]
    path = target.chat() if body.startswith("chat") else "/v1/messages"
    headers = {"content-type": "application/json", **dict(h.split(": ", 1) for h in target.headers())}
    question = (folder / f"{body}.json").read_bytes()
    line = http.client.HTTPConnection("127.0.0.1", target.spec["port"])

    def ask(times):
        for number in range(times):
            line.request("POST", path, question.replace(b"@@SEQUENCE@@", str(number).encode()), headers)
            answer = line.getresponse()
            assert answer.read() and answer.status == 200, answer.status

    try:
        control("-i", "on")
        ask(WARM_UP)
        control("-z")
        ask(requests)
        control("-d")
        time.sleep(0.5)
    finally:
        target.stop()
    found = next(out.parent.glob(out.name + ".1*"))
    return int(re.search(r"^(?:totals|summary): (\d+)", found.read_text(), re.M)[1]) / requests, found


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("target")
    a.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    a.add_argument("--targets", action="append", default=[], help="more targets (JSON file of the form of targets.json)")
    a.add_argument("--requests", type=int, default=200)
    a.add_argument("--run", default=str(run.BENCH / "target/run"))
    args = a.parse_args()
    spec = run.load_targets(args)["llm"][args.target]
    folder = Path(args.run) / "bodies"
    run.bodies(folder, spec.get("model", "mock-model"))
    mock = run.spawn([str(run.BIN / "mock-llm"), "--port", str(run.LLM)], run.LOAD_CORE)
    try:
        for scenario in args.scenarios:
            each, where = count(run.Target("llm", args.target, spec, args), scenario, args.requests, folder)
            print(f"{args.target} {scenario}: {each:,.0f} instructions per request   {where}", flush=True)
    finally:
        run.stop(mock)


if __name__ == "__main__":
    main()
