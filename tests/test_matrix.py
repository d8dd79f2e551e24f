"""Real clients and real servers, each with each: list, call, error, progress, cancel, and a question back."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conftest import EVERYTHING, NODE, PACKAGES, TESTS, TIME, filesystem
from matrix import PATIENCE_SECONDS, Fast, Python, visit_all
from processes import wait_until
from router import MODERN, ROOT, Router

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("matrix")]

# Servers of the first generation of the Python SDK do not agree with the second.
FIRST = TESTS / "mcp1/.venv/bin"
INSPECTOR = TESTS / "inspector/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"

# Built by `./test`.
RMCP = ROOT / "target/rmcp/debug/rmcp-server"

LONG = ["trigger-long-running-operation", {"duration": 0.3, "steps": 3}]
TOO_LONG = ["trigger-long-running-operation", {"duration": 60, "steps": 600}]
NOTHING = {"progress": None, "cancel": None, "asks": None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """The servers, and what is to be done with each and expected of it."""

    def __init__(self, home: Path):
        self.home, self.running = home, []
        (home / "pages").mkdir()
        (home / "pages/page.html").write_text("<html><body><h1>Fetched</h1></body></html>")
        (home / "note.txt").write_text("Buy milk.")
        quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        self.pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=home / "pages"))
        threading.Thread(target=self.pages.serve_forever, daemon=True).start()
        git = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(home)}
        for words in (["init", "-q", "-b", "main", "repo"], ["-C", "repo", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "The first."]):
            subprocess.run(["git", *words], cwd=home, env=git, check=True)
        self.rows = self.table()

    def table(self) -> dict[str, dict]:
        """By name: how it is reached, what is to be done there, and a part of what the good call says."""
        repo, page = str(self.home / "repo"), f"http://127.0.0.1:{self.pages.server_port}/page.html"
        everything = {"call": ["echo", {"message": "héllo"}], "error": ["no-such-tool", {}], "progress": LONG, "cancel": TOO_LONG, "says": "héllo"}
        fast = {"call": ["add", {"a": 2, "b": 3}], "error": ["fail", {}], "progress": ["slow", {}], "cancel": ["slow", {"steps": 600, "pause": 0.1}], "says": "5"}
        asking = {"call": ["cancelled", {}], "error": ["no-such-tool", {}], "asks": ["name", {}], "says": "0"}
        python = Path(sys.prefix) / "bin"
        first = [
            ("everything-stdio", EVERYTHING, everything),
            ("everything-http", {"url": self.over_http("streamableHttp", "/mcp")}, everything),
            ("everything-sse", {"url": self.over_http("sse", "/sse")}, everything),
            ("filesystem", filesystem(self.home), {
                "call": ["read_text_file", {"path": str(self.home / "note.txt")}], "error": ["read_text_file", {"path": "/etc/passwd"}], "says": "Buy milk."}),
            ("memory", {"command": str(NODE), "args": [str(PACKAGES / "server-memory/dist/index.js")], "env": {"MEMORY_FILE_PATH": str(self.home / "memory.json")}}, {
                "call": ["read_graph", {}], "error": ["create_entities", {"entities": 7}], "says": "entities"}),
            # Where it finds a Node.js it installs packages before its first answer.
            ("fetch", {"command": str(FIRST / "mcp-server-fetch"), "args": ["--ignore-robots-txt", "--allow-private-ips"], "env": {"PATH": str(FIRST)}}, {
                "call": ["fetch", {"url": page}], "error": ["fetch", {"url": "no address"}], "says": "Fetched"}),
            ("time", TIME, {"call": ["get_current_time", {"timezone": "Asia/Tokyo"}], "error": ["get_current_time", {"timezone": "No/Where"}], "says": "Asia/Tokyo"}),
            ("git", {"command": str(python / "mcp-server-git"), "args": ["--repository", repo]}, {
                "call": ["git_log", {"repo_path": repo}], "error": ["git_show", {"repo_path": repo, "revision": "no-such-thing"}], "says": "The first."}),
            ("sqlite", {"command": str(FIRST / "mcp-server-sqlite"), "args": ["--db-path", str(self.home / "data.db")]}, {
                "call": ["read_query", {"query": "SELECT 6*7 AS answer"}], "error": ["no_such_tool", {}], "says": "42"}),
            ("fastmcp-stdio", {"command": sys.executable, "args": [str(TESTS / "servers/fast.py")]}, fast),
            ("fastmcp-http", {"url": self.fast_over_http()}, fast),
            ("rmcp-stdio", {"command": str(RMCP)}, {**fast, "asks": ["name", {}]}),
            ("rmcp-http", {"url": self.rmcp_over_http()}, {**fast, "asks": ["name", {}]}),
            ("asking-legacy", {"command": sys.executable, "args": [str(TESTS / "servers/asking.py")], "protocol": "legacy"}, asking),
            ("asking-modern", {"command": sys.executable, "args": [str(TESTS / "servers/asking.py")], "protocol": "modern"}, asking),
        ]
        return {name: {"reach": reach, "path": f"/mcp/{name}", **NOTHING, **does} for name, reach, does in first}

    def over_http(self, transport: str, path: str) -> str:
        """server-everything over HTTP, in one of its transports."""
        port = free_port()
        self.start([NODE, PACKAGES / "server-everything/dist/index.js", transport], {"PORT": str(port)})
        return f"http://127.0.0.1:{port}{path}"

    def fast_over_http(self) -> str:
        port = free_port()
        self.start([sys.executable, TESTS / "servers/fast.py", str(port)], {})
        return f"http://127.0.0.1:{port}/mcp"

    def rmcp_over_http(self) -> str:
        port = free_port()
        self.start([RMCP, str(port)], {})
        return f"http://127.0.0.1:{port}/mcp"

    def start(self, command: list, env: dict[str, str]) -> None:
        self.running.append(subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    @property
    def plan(self) -> list[dict]:
        return [{key: value for key, value in row.items() if key not in ("reach", "says")} for row in self.rows.values()]

    def close(self) -> None:
        self.pages.shutdown()
        self.pages.server_close()
        for process in self.running:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    there = World(tmp_path_factory.mktemp("world"))
    yield there
    there.close()


@pytest.fixture(scope="module")
def served(world: World, tmp_path_factory) -> Iterator[Router]:
    """One router before them all; it outlives the clients, as routers do."""
    router = Router(tmp_path_factory.mktemp("router"), {"mcpServers": {name: row["reach"] for name, row in world.rows.items()}})
    try:
        for name, row in world.rows.items():
            # A server that is not up is answered with an error at its own path.
            offered = f'"{row["call"][0]}"'
            wait_until(f"{name} is up", lambda name=name, offered=offered: offered in json.dumps(router.rpc("tools/list", path=f"/mcp/{name}")), 60, 0.25)
        yield router
    finally:
        router.stop()


CLIENTS = {
    "python-legacy": (Python, "legacy"), "python-auto": (Python, "auto"), "python-modern": (Python, MODERN),
    "fastmcp-legacy": (Fast, "legacy"), "fastmcp-auto": (Fast, "auto"),
    "js-1": (1, None), "js-2-legacy": (2, "legacy"), "js-2-auto": (2, "auto"), "js-2-modern": (2, {"pin": MODERN}),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_with_every_server(world, served, javascript, client):
    kind, mode = CLIENTS[client]
    if isinstance(kind, int):
        found = javascript("mcp_matrix.mjs", url=served.url, generation=kind, mode=mode, plan=world.plan, patience=PATIENCE_SECONDS)
    else:
        found = visit_all(served.url, kind, mode, world.plan)
    wrong = {}
    for (name, row), cell in zip(world.rows.items(), found, strict=True):
        if said := [what for what in judged(row, cell) if what]:
            wrong[name] = said
    assert wrong == {}


def judged(row: dict, cell: dict) -> Iterator[str | None]:
    """What is wrong with a cell."""
    yield None if row["call"][0] in cell["tools"] else f"list: {cell['tools']}"
    for what in ("call", *(["after"] if row["cancel"] else [])):
        failed, text = cell[what]
        # How many calls were given up depends on who was there before.
        yield None if not failed and (row["says"] in text or text.isdigit()) else f"{what}: {cell[what]}"
    failed, text = cell["error"]
    yield None if failed and text else f"error: {cell['error']}"
    if row["progress"]:
        failed, text, ticks = cell["progress"]
        yield None if not failed and text and ticks and ticks == sorted(ticks) else f"progress: {cell['progress']}"
    if row["cancel"]:
        yield None if cell["cancel"] == "CancelledError" else f"cancel: {cell['cancel']}"
    if row["asks"]:
        yield None if list(cell["asks"]) == [False, "Ann"] else f"asks: {cell['asks']}"


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector(world, served, tmp_path, era):
    """Each of its runs is a program of its own, so it visits one server of each kind."""

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [NODE, INSPECTOR, "--cli", f"{served.url}/mcp/{name}", "--transport", "http", "--protocol-era", era, *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    for name in ("everything-stdio", "time"):
        row = world.rows[name]
        tool, arguments = row["call"]
        listed = run(name, "--method", "tools/list")
        assert tool in [one["name"] for one in json.loads(listed.stdout)["tools"]], listed
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        called = run(name, "--method", "tools/call", "--tool-name", tool, "--tool-arg", *pairs)
        assert row["says"] in called.stdout, called
    wrong = run("time", "--method", "tools/call", "--tool-name", "get_current_time", "--tool-arg", "timezone=No/Where")
    assert "No/Where" in wrong.stdout + wrong.stderr, wrong
