"""The MCP servers of a running router, as an operator sees and orders them."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from conftest import EVERYTHING
from processes import wait_until
from router import Router, run

KEYS = [{"name": "me", "key": "0123456789abcdef0me"}, {"name": "root", "key": "0123456789abcdef0root", "admin": True}]


def ordered(router: Router, *words: str):
    """Runs `mcp-router servers` against the router."""
    return run(router.home, "--config", str(router.config), "--listen", router.url.removeprefix("http://"), "servers", *words)


@pytest.fixture
def served(start: Callable[..., Router]) -> Router:
    router = start({"mcpServers": {"everything": EVERYTHING}})
    router.wait_for_tools("everything__echo")
    return router


def state(router: Router) -> str:
    table = ordered(router).stdout.splitlines()
    assert table[0].split()[:3] == ["SERVER", "STATE", "SPEAKS"]
    return table[1].split()[1]


def test_an_operator_looks_stops_starts_and_restarts(served):
    socket = next((served.home / "state/mcp-router").glob("control-*.sock"))
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
    assert state(served) == "ready"

    stopped = ordered(served, "stop", "everything")
    assert (stopped.stdout, stopped.returncode) == ("everything: told to stop\n", 0)
    wait_until("it stops", lambda: state(served) == "stopped", 10)
    failed = served.rpc("tools/call", {"name": "everything__echo", "arguments": {"message": "x"}})["result"]
    assert failed["isError"] and "stopped" in failed["content"][0]["text"]
    assert "everything__echo" in [tool["name"] for tool in served.rpc("tools/list")["result"]["tools"]], "what it had stays listed"

    assert ordered(served, "start", "everything").returncode == 0
    wait_until("it starts", lambda: state(served) == "ready", 20)
    before = served.http.get("/health/everything").json()["metadata"]["pid"]
    assert ordered(served, "restart", "everything").returncode == 0
    wait_until("it restarts", lambda: state(served) == "ready" and served.http.get("/health/everything").json()["metadata"]["pid"] != before, 20)

    log = ordered(served, "logs", "everything", "-n", "1")
    assert log.returncode == 0 and len(log.stdout.splitlines()) == 1, log


def test_what_cannot_be_done_is_told(served, tmp_path):
    unknown = ordered(served, "restart", "nobody")
    assert unknown.returncode == 1 and 'there is no MCP server "nobody"' in unknown.stderr
    absent = run(tmp_path, "--listen", "127.0.0.1:1", "servers")
    assert absent.returncode == 1 and "no router answers" in absent.stderr


def test_over_http_only_an_administrators_key_gets_there(start):
    router = start({"keys": KEYS, "mcpServers": {"everything": EVERYTHING}})
    for key, status in [(None, 401), (KEYS[0]["key"], 403), (KEYS[1]["key"], 200)]:
        headers = {"x-api-key": key} if key else {}
        assert router.http.get("/admin/servers", headers=headers).status_code == status
        assert router.http.post("/admin/servers/everything/dance", headers=headers).status_code == (404 if status == 200 else status)
    listed = router.http.get("/admin/servers", headers={"x-api-key": KEYS[1]["key"]}).json()["servers"]
    assert [server["name"] for server in listed] == ["everything"]


def test_without_keys_nobody_gets_to_admin_over_http(served):
    assert served.http.get("/admin/servers").status_code == 403


def test_each_session_has_a_server_to_itself(start):
    router = start({"mcpServers": {"everything": {**EVERYTHING, "isolation": "per_session"}}})
    router.wait_for_tools("everything__echo")
    shake = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}

    def session() -> dict[str, str]:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": shake}
        answer = router.http.post("/mcp", json=body, headers={"accept": "application/json, text/event-stream"})
        return {"mcp-session-id": answer.headers["mcp-session-id"], "accept": "application/json"}

    def call(headers: dict[str, str]) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "everything__echo", "arguments": {"message": "x"}}}
        return router.http.post("/mcp", json=body, headers=headers)

    def instances() -> int:
        return router.http.get("/health/everything").json()["metadata"]["instances"]

    one, two = session(), session()
    assert [call(headers).json()["result"]["content"][0]["text"] for headers in (one, two, one)] == ["Echo: x"] * 3
    assert instances() == 2
    router.http.delete("/mcp", headers=one)
    wait_until("a session takes its server along", lambda: instances() == 1, 10)


def test_a_missing_interpreter_is_named(start):
    router = start({"mcpServers": {"old": {"command": "python", "args": ["s.py"], "runtime": {"python": "3.1"}}}}, env={"PATH": "/nowhere"})
    health = router.http.get("/health/old").json()
    assert "there is no Python 3.1 here" in health["message"] and health["status"] == "unhealthy"


def test_a_predecessors_file_is_read(tmp_path):
    theirs = {"servers": {"echo": {"type": "nodejs", "command": "node echo.js", "node_version": "22", "restart_policy": "never"}}}
    (tmp_path / "mcp_servers.yaml").write_text(yaml.safe_dump(theirs))
    imported = run(tmp_path, "import", "mcp_servers.yaml")
    assert imported.returncode == 0, imported.stderr
    (tmp_path / "router.yaml").write_text(imported.stdout)
    assert yaml.safe_load(imported.stdout)["mcpServers"]["echo"] == {
        "command": "node", "args": ["echo.js"], "runtime": {"node": "22"}, "max_restarts": 0,
    }
    checked = run(tmp_path, "--config", "router.yaml", "check")
    assert checked.returncode == 0, json.dumps(checked.stderr)
