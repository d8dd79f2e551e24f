"""Real coding agents through the router: Claude Code and Codex, onto an upstream of another dialect that follows a script.

    tests/.venv/bin/python tests/agents/run.py [claude] [codex]

Not a part of ./test: it downloads some 400 MB once, into tests/agents/.cache. Nothing that runs here speaks to anybody but
the router. Each scenario ends with what was seen: what the upstream was asked, what the router answered, what the agent
printed. The exit code is the number of scenarios that failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from recording import Act, Recorded, RecordingProvider  # noqa: E402
from router import Router  # noqa: E402

PACKAGES = {"claude": "@anthropic-ai/claude-code-linux-x64@2.1.330", "codex": "@openai/codex@0.169.0"}
PATIENCE_SECONDS = 120
"""No scenario may take longer: an agent that hangs is a failure of the router until the opposite is shown."""

ASKED = "Say hello, and then what the shell says."
COMMAND = "echo from-the-shell"
SAID = "from-the-shell"
WINDOW = 128_000
TOKENS = 190_211

TOO_LONG = {
    "error": {
        "message": f"This model's maximum context length is {WINDOW} tokens. However, your messages resulted in {TOKENS} tokens. "
        "Please reduce the length of the messages.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}


# -- what the upstream does


def texts(message: dict) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def answers(recorded: Recorded) -> Act:
    return Act(chunks=["Hello from", " the upstream."])


def calls_a_tool(recorded: Recorded) -> Act:
    """First a call of the agent's shell; once its result is there, an answer that repeats it."""
    results = [message for message in recorded.body["messages"] if message["role"] == "tool"]
    if results:
        return Act(chunks=[f"The shell said: {texts(results[-1]).strip()[-200:]}"])
    offered = {tool["function"]["name"]: tool["function"] for tool in recorded.body.get("tools", [])}
    for name, key in (("Bash", "command"), ("exec_command", "cmd"), ("shell_command", "command")):
        if name in offered:
            more = {"description": "Says something"} if name == "Bash" else {}
            return Act(chunks=[], calls=[(name, {key: COMMAND, **more})])
    return Act(chunks=["No shell is offered."])


def breaks_off(recorded: Recorded) -> Act:
    """A stream that ends within its answer; who asks for one message instead, gets it."""
    return Act(cut=True) if recorded.body.get("stream") else answers(recorded)


def runs_out_of_context(recorded: Recorded) -> Act:
    """A question with a tool's result is too long, until the conversation was summed up."""
    last = texts(recorded.body["messages"][-1])
    everything = "\n".join(texts(message) for message in recorded.body["messages"])
    if "summary" in last.lower() and "conversation" in last.lower() and "SUMMED-UP" not in everything:
        return Act(chunks=["<analysis>short</analysis>\n<summary>SUMMED-UP: the shell was asked.</summary>"])
    if "SUMMED-UP" in everything:
        return Act(chunks=["Going on after the summary."])
    act = calls_a_tool(recorded)
    return act if act.calls else Act(status=400, body=TOO_LONG)


# -- the agents


@dataclass
class Run:
    """What became of one run of an agent."""

    code: int | None
    printed: str
    complained: str
    seconds: float

    @property
    def lines(self) -> list[dict]:
        """What it printed, where that was JSON."""
        found = []
        for line in self.printed.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def run(command: list[str], environment: dict[str, str], folder: Path) -> Run:
    started = time.monotonic()
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TERM": "xterm", **environment}
    (folder / "home").mkdir(exist_ok=True)
    (folder / "work").mkdir(exist_ok=True)
    try:
        ended = subprocess.run(
            command, env=kept, cwd=folder / "work", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )
        code, printed, complained = ended.returncode, ended.stdout, ended.stderr
    except subprocess.TimeoutExpired as late:
        code, printed, complained = None, (late.stdout or b"").decode(), (late.stderr or b"").decode()
    return Run(code, printed, complained, time.monotonic() - started)


class Claude:
    name = "claude"

    def __init__(self, cache: Path):
        self.binary = cache / "node_modules/@anthropic-ai/claude-code-linux-x64/claude"
        self.door = "/v1/messages"

    def ask(self, router: Router, folder: Path) -> Run:
        environment = {
            "ANTHROPIC_BASE_URL": router.url,
            "ANTHROPIC_API_KEY": "dummy",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        command = [str(self.binary), "-p", ASKED, "--output-format", "stream-json", "--verbose", "--allowedTools", "Bash(echo:*)"]
        return run(command, environment, folder)

    def said(self, ended: Run) -> str:
        return next((line.get("result") or "" for line in ended.lines if line.get("type") == "result"), "")

    def compacted(self, ended: Run) -> bool:
        return any(line.get("subtype") == "compact_boundary" for line in ended.lines)


class Codex:
    name = "codex"

    def __init__(self, cache: Path):
        self.binary = next(cache.glob("node_modules/@openai/codex-linux-x64/vendor/*/bin/codex"), Path("missing"))
        self.door = "/v1/responses"

    def ask(self, router: Router, folder: Path) -> Run:
        home = folder / "codex"
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(
            'model = "big"\nmodel_provider = "router"\n\n[model_providers.router]\nname = "router"\n'
            f'base_url = "{router.url}/v1"\nwire_api = "responses"\nenv_key = "ROUTER_KEY"\n'
        )
        command = [str(self.binary), "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", ASKED]
        return run(command, {"CODEX_HOME": str(home), "ROUTER_KEY": "dummy"}, folder)

    def said(self, ended: Run) -> str:
        items = [line["item"] for line in ended.lines if line.get("type") == "item.completed"]
        return "\n".join(item.get("text", "") for item in items if item.get("type") == "agent_message")

    def compacted(self, ended: Run) -> bool:
        return False


# -- the scenarios


@dataclass
class Scenario:
    """What the upstream does, and what must become of it."""

    name: str
    upstream: Callable[[Recorded], Act]
    expected: Callable[[Claude | Codex, Run, list[Recorded]], list[tuple[str, bool]]]
    agents: tuple[str, ...] = ("claude", "codex")


def answered(text: str) -> Callable[[Claude | Codex, Run, list[Recorded]], list[tuple[str, bool]]]:
    return lambda agent, ended, asked: [("it ends well", ended.code == 0), (f"it says {text!r}", text in agent.said(ended))]


def looped(agent: Claude | Codex, ended: Run, asked: list[Recorded]) -> list[tuple[str, bool]]:
    results = [texts(message) for recorded in asked for message in recorded.body["messages"] if message["role"] == "tool"]
    return [*answered("The shell said: ")(agent, ended, asked), ("the result arrived", any(SAID in result for result in results))]


def compacted(agent: Claude | Codex, ended: Run, asked: list[Recorded]) -> list[tuple[str, bool]]:
    return [*answered("Going on after the summary.")(agent, ended, asked), ("it compacted", agent.compacted(ended))]


def told_of_the_window(agent: Claude | Codex, ended: Run, asked: list[Recorded]) -> list[tuple[str, bool]]:
    return [("it gives up at once", ended.code is not None and len(asked) <= 4), ("it says why", "context" in ended.printed)]


SCENARIOS = [
    Scenario("an answer", answers, answered("Hello from the upstream.")),
    Scenario("a tool loop", calls_a_tool, looped),
    Scenario("a stream that is cut, and then one message", breaks_off, answered("Hello from the upstream."), ("claude",)),
    Scenario("out of context, and on after a summary", runs_out_of_context, compacted, ("claude",)),
    Scenario("out of context", runs_out_of_context, told_of_the_window, ("codex",)),
]


@dataclass
class Seen:
    """What the upstream was asked, and what it did."""

    asked: list[Recorded] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def noting(self, upstream: Callable[[Recorded], Act]) -> Callable[[Recorded], Act]:
        def decide(recorded: Recorded) -> Act:
            act, body = upstream(recorded), recorded.body
            self.asked.append(recorded)
            does = f"calls {act.calls[0][0]}" if act.calls else f"says {''.join(act.chunks)[:60]!r}"
            does = f"status {act.status}" if act.status != 200 else "is cut off" if act.cut else does
            roles = "".join(message["role"][0] for message in body["messages"])
            self.lines.append(f"{recorded.path} {len(json.dumps(body))} B, {roles}, {len(body.get('tools', []))} tools -> {does}")
            return act

        return decide


def play(agent: Claude | Codex, scenario: Scenario, folder: Path) -> bool:
    seen = Seen()
    provider = RecordingProvider(decide=seen.noting(scenario.upstream))
    config = {
        "log": {"format": "json"},
        "providers": {"scripted": {"kind": "openai", "base_url": provider.url, "api_key": "sk-scripted"}},
        "models": {"claude-*": ["scripted/gpt-4.1"], "big": ["scripted/gpt-4.1"]},
    }
    router = Router(folder / "router", config)
    try:
        if router.http.post(agent.door, json={}).status_code == 404:
            print(f"skip {agent.name}: this router has no {agent.door}")
            return True
        ended = agent.ask(router, folder)
    finally:
        router.stop()
        provider.close()
    checks = [("no hang", ended.code is not None), *scenario.expected(agent, ended, seen.asked)]
    good = all(is_so for _, is_so in checks)
    print(f"{'ok  ' if good else 'FAIL'} {agent.name}: {scenario.name} ({ended.seconds:.1f} s, exit code {ended.code})")
    for line in seen.lines:
        print(f"       upstream  {line}")
    for line in map(json.loads, router.log_text().splitlines()):
        if line["target"] == "access":
            print(f"       router    {line['route']} {line['status']} by {line.get('upstream')} in {line['milliseconds']} ms")
    print(f"       agent     {agent.said(ended)[:200]!r}")
    if not good:
        print(f"       missing   {', '.join(what for what, is_so in checks if not is_so)}")
        print(f"       printed   {ended.printed[-2000:]}\n       stderr    {ended.complained[-2000:]}")
    return good


def install(cache: Path, wanted: list[str]) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    packages = [PACKAGES[name] for name in wanted]
    done, marker = cache / "installed", json.dumps(sorted(packages))
    if not done.exists() or done.read_text() != marker:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), *packages], check=True)
        done.write_text(marker)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agents", nargs="*", metavar="agent", help="claude, codex; both when none is named")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="where the agents are installed")
    arguments = parser.parse_args()
    wanted = arguments.agents or ["claude", "codex"]
    install(arguments.cache, wanted)
    failed = 0
    for agent in [agent(arguments.cache) for agent in (Claude, Codex) if agent.name in wanted]:
        version = subprocess.run([agent.binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{agent.name}: {version}")
        for scenario in SCENARIOS:
            if agent.name in scenario.agents:
                with tempfile.TemporaryDirectory() as folder:
                    failed += not play(agent, scenario, Path(folder))
    return failed


if __name__ == "__main__":
    sys.exit(main())
