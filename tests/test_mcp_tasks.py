"""Tasks through the router: the official scenarios of the extension with servers of both eras behind, and the official client
of 2025-11-25 with its own."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from conftest import NODE
from router import Router
from suites import FOLDER, MODERN_REVISION, NEXT, beyond, run

FIXTURE = str(FOLDER / "fixture/tasks/main.mjs")

pytestmark = pytest.mark.timeout(240)

# What a server of 2025-11-25 cannot say: that a task ended with an error of the protocol (its SDK has results only), and
# what it wants to know before there is a task.
UNSAID = {"tasks-lifecycle", "tasks-mrtr-composition"}
# Who takes no tasks is not refused a tool that is one: the router waits for him.
WAITED_FOR = {"tasks-required-task-error"}


@pytest.fixture
def tasking(start) -> Callable[..., Router]:
    """A router in front of task servers of these eras, each under the name of its era."""

    def start_one(*eras: str) -> Router:
        servers = {era: {"command": str(NODE), "args": [FIXTURE, era]} for era in eras}
        router = start({"mcpServers": servers})
        router.wait_for_tools(*(f"{era}__slow_compute" for era in eras))
        return router

    return start_one


@pytest.mark.parametrize(("era", "open_still"), [("modern", set()), ("legacy", UNSAID | WAITED_FOR)])
def test_the_scenarios_of_the_extension(tasking, tmp_path, era, open_still):
    router = tasking(era)
    found = {}
    for scenario in sorted(beyond(MODERN_REVISION, "server", "extension")):
        args = ("server", "--url", f"{router.url}/mcp/{era}", "--scenario", scenario, "--spec-version", MODERN_REVISION, "--force")
        found |= run(NEXT, tmp_path / scenario, *args)
    assert len(found) == 10
    assert {scenario for scenario, checks in found.items() if checks} == open_still, found


def official(router: Router, path: str, prefix: str) -> dict:
    command = [NODE, FOLDER / "tasks_client.mjs", f"{router.url}{path}", prefix]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("path", "prefix"), [("/mcp/legacy", ""), ("/mcp", "legacy__")])
def test_the_official_client_and_its_tasks(tasking, path, prefix):
    router = tasking("legacy", "modern") if prefix else tasking("legacy")
    saw = official(router, path, prefix)
    assert saw["promised"] == {"requests": {"tools": {"call": {}}}, "list": {}, "cancel": {}}
    assert saw["supports"][f"{prefix}slow_compute"] == "optional"
    assert saw["supports"].get("modern__slow_compute") is None
    # A failed task is an error to this client, whatever came of it.
    assert saw["said"].pop("fails").startswith("!")
    assert saw["said"] == {"slow": "it took 0.2 s", "asks": "deleted a.txt", "twice": "to First? and to Second?"}
    assert sorted(saw["asked"]) == ["Delete a.txt?", "First?", "Second?"]
    assert saw["statuses"] == ["working", "cancelled"]
    assert sorted(saw["mine"]) == sorted(saw["ids"]) and len(set(saw["ids"])) == 5
    assert saw["told"], "somebody else's tasks are nobody's business"


def test_two_callers_of_one_server_have_tasks_of_their_own(start):
    keys = {"anna": "sk-anna-0123456789abcdef", "ben": "sk-ben-0123456789abcdef"}
    config = {"mcpServers": {"legacy": {"command": str(NODE), "args": [FIXTURE, "legacy"]}}, "keys": [{"name": name, "key": key} for name, key in keys.items()]}
    router = start(config)
    sessions = {name: Session(router, key) for name, key in keys.items()}
    begun = {name: session.ask("tools/call", {"name": "slow_compute", "arguments": {"seconds": 60, "label": name}, "task": {}}) for name, session in sessions.items()}
    ids = {name: reply["result"]["task"]["taskId"] for name, reply in begun.items()}
    for name, session in sessions.items():
        assert [task["taskId"] for task in session.ask("tasks/list", {})["result"]["tasks"]] == [ids[name]]
        for owner, task in ids.items():
            reply = session.ask("tasks/get", {"taskId": task})
            assert ("result" in reply) == (owner == name), reply
            assert owner == name or reply["error"]["code"] == -32602
    assert sessions["anna"].ask("tasks/cancel", {"taskId": ids["ben"]})["error"]["code"] == -32602
    assert sessions["ben"].ask("tasks/get", {"taskId": ids["ben"]})["result"]["status"] == "working"


class Session:
    """A client of 2025-11-25 with a key."""

    def __init__(self, router: Router, key: str):
        self.http, self.headers = router.http, {"authorization": f"Bearer {key}", "accept": "application/json, text/event-stream"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        response = self.post("initialize", hello)
        self.headers["mcp-session-id"] = response.headers["mcp-session-id"]

    def post(self, method: str, params: dict):
        return self.http.post("/mcp/legacy", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers=self.headers)

    def ask(self, method: str, params: dict) -> dict:
        return self.post(method, params).json()


def test_a_method_of_an_extension_finds_its_server(tasking):
    router = tasking("legacy", "modern")
    for path in ["/mcp", "/mcp/modern"]:
        assert router.rpc("echo/back", {"b": 1.50, "a": []}, path)["result"]["said"] == {"b": 1.5, "a": []}
        announced = router.rpc("server/discover", path=path)["result"]["capabilities"]["extensions"]
        assert announced["com.example/echo"] == {}
    refused = router.rpc("nobody/knows", path="/mcp")["error"]
    assert refused["code"] == -32601 and "announces" in refused["message"]
