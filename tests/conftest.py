"""What every outside test starts from: a router, a provider that records, JavaScript clients."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile import Hostile
from recording import RecordingProvider
from programs import NODE, TESTS
from redis_server import Redis
from router import BINARY, Router
from signing_in import World

PACKAGES = TESTS / "node_modules/@modelcontextprotocol"

EVERYTHING = {"command": str(NODE), "args": [str(PACKAGES / "server-everything/dist/index.js"), "stdio"]}
TIME = {"command": str(Path(sys.prefix) / "bin/mcp-server-time"), "args": ["--local-timezone", "UTC"]}
FAULTY = {"command": sys.executable, "args": [str(TESTS / "servers/faulty.py")]}


def filesystem(folder: Path) -> dict:
    """The official filesystem server, allowed to see one folder."""
    return {"command": str(NODE), "args": [str(PACKAGES / "server-filesystem/dist/index.js"), str(folder)]}


def notes_in(folder: Path, pace: float = 0) -> dict:
    """A trusted server that keeps notes in a folder, and takes `pace` seconds to read them."""
    return {"command": sys.executable, "args": [str(TESTS / "servers/notes.py"), str(folder), str(pace)], "trusted": True}


def pytest_sessionstart() -> None:
    if not BINARY.exists() and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"note: {BINARY} is not built yet: cargo build --release", file=sys.stderr)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Router]]:
    """Starts routers; each is ended with SIGTERM after the test and must exit with 0."""
    routers: list[Router] = []

    def start_one(config: dict | str | None = None, **more) -> Router:
        routers.append(Router(tmp_path / f"router-{len(routers)}", config, **more))
        return routers[-1]

    yield start_one
    problems = []
    for router in routers:
        try:
            router.stop()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of the test's own."""
    server = Redis(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def router(start: Callable[..., Router]) -> Router:
    """A router with nothing configured."""
    return start()


@pytest.fixture
def provider() -> Iterator[RecordingProvider]:
    recording = RecordingProvider()
    yield recording
    recording.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes servers that want tokens, each with who makes them out."""
    worlds: list[World] = []

    def make(seconds: int = 3600) -> World:
        worlds.append(World(tmp_path / f"world-{len(worlds)}", seconds))
        return worlds[-1]

    yield make
    for one in worlds:
        one.close()


@pytest.fixture
def hostile() -> Iterator[Callable[..., Hostile]]:
    """Starts MCP servers over HTTP that answer as the test says."""
    servers: list[Hostile] = []

    def serve(call: Callable, tools: list[dict] | None = None) -> Hostile:
        servers.append(Hostile(call, tools))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def javascript() -> Callable[..., dict]:
    """Runs a script of tests/js with one JSON argument; returns the JSON it prints."""

    def run_script(name: str, **argument) -> dict:
        # Its own environment: no key of the machine may help a client.
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp")}
        done = subprocess.run([NODE, TESTS / "js" / name, json.dumps(argument)], capture_output=True, text=True, timeout=75, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run_script
