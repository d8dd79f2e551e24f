"""The official conformance suites of MCP, and the fixture between which and them the router stands."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from conftest import NODE, TESTS

FOLDER = TESTS / "conformance"
FIXTURE = str(FOLDER / "fixture/main.mjs")

MODERN_REVISION = "2026-07-28"

# The released suite knows the revisions up to 2025-11-25; the next one holds what each revision requires.
FINAL = "conformance-final"
NEXT = "conformance-next"

# Scenarios that measure time in milliseconds, and how often a busy machine may try.
TIMED = {"sse-retry"}
TRIES = 3

# A suite may wait for ever for a server that does not answer.
RUN_SECONDS = 150


class Fixture:
    """The dual-era server over HTTP, on a port of its own."""

    def __init__(self):
        self.process = subprocess.Popen([NODE, FIXTURE, "http"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), "the fixture does not start"

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def required(revision: str, leg: str) -> set[str]:
    """The scenarios that a revision requires of a `server` or a `client`."""
    return set(_requirements(revision)[leg])


def beyond(revision: str, leg: str, *reasons: str) -> set[str]:
    """The scenarios that are run for other reasons: `pending`, `added-after-release`, `extension`."""
    rows = _requirements(revision)["not_scored"]
    return {row["scenario"] for row in rows if row["leg"] == leg and row["reason"] in reasons}


def clients(suite: str) -> set[str]:
    """The client scenarios that a suite has."""
    command = [NODE, FOLDER / f"node_modules/{suite}/dist/index.js", "list", "--client"]
    listed = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=RUN_SECONDS, check=True).stdout
    return set(re.findall(r"^\s+- (\S+)", listed, re.MULTILINE))


def run_clients(suite: str, scenarios: set[str], folder: Path, command: str, *args: str, env: dict[str, str]) -> dict[str, list[str]]:
    """Runs client scenarios, some at a time."""

    def one(scenario: str) -> dict[str, list[str]]:
        more = ("--command", command, "--scenario", scenario, "--timeout", "60000", *args)
        for attempt in range(TRIES if scenario in TIMED else 1):
            found = run(suite, folder / scenario / str(attempt), "client", *more, env=env)
            if not any(found.values()):
                break
        return found

    with ThreadPoolExecutor(max_workers=3) as pool:
        return {name: checks for found in pool.map(one, sorted(scenarios)) for name, checks in found.items()}


def _requirements(revision: str) -> dict:
    return yaml.safe_load((FOLDER / f"node_modules/{NEXT}/requirements/{revision}.yaml").read_text())


def run(suite: str, folder: Path, *args: str, env: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Runs a suite: all its scenarios, each with the checks that failed, and with what made the client fail."""
    command = [NODE, FOLDER / f"node_modules/{suite}/dist/index.js", *args, "-o", folder]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **(env or {})}
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS)
    found = {}
    for file in sorted(folder.rglob("checks.json")):
        name = str(file.parent.relative_to(folder))
        scenario = re.fullmatch(r"(?:server-|client-)?(.*?)-\d{4}-\d\d-\d\dT.*", name)[1]
        failed = [check for check in json.loads(file.read_text()) if check["status"] == "FAILURE"]
        found[scenario] = [f"{check['id']}: {check.get('errorMessage')}" for check in failed]
    assert found, done.stdout + done.stderr
    if args[0] == "client" and done.returncode != 0:
        next(iter(found.values())).append(done.stdout[-2000:])
    return found
