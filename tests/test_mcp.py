"""Real MCP servers of both eras, through every way in, to the official clients of both eras."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import StdioServerParameters

from conftest import EVERYTHING, TIME, filesystem
from mcp_visit import visit
from router import BINARY, MODERN, Router, clean_environment, failure, success

PYTHON = ["legacy", "auto", MODERN]
CLIENTS = [*(f"python-{mode}" for mode in PYTHON), "js-v1", "js-v2-legacy", "js-v2-auto", "js-v2-modern"]


@pytest.fixture
def config(tmp_path: Path) -> dict:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "note.txt").write_text("Buy milk.")
    return {"mcpServers": {"everything": EVERYTHING, "filesystem": filesystem(folder), "time": TIME}}


@pytest.fixture
def served(start: Callable[..., Router], config: dict) -> Router:
    router = start(config)
    router.wait_for_tools("everything__echo", "filesystem__read_text_file", "time__get_current_time")
    return router


def plan(folder: Path, prefix: str = "{}__") -> dict:
    """One plan for every client: a tool of each server, errors of two kinds, a resource, a prompt."""
    everything, files, time = (prefix.format(name) for name in ("everything", "filesystem", "time"))
    return {
        "calls": [
            {"name": f"{everything}echo", "arguments": {"message": "héllo"}},
            {"name": f"{everything}get-sum", "arguments": {"a": 2, "b": 3}},
            {"name": f"{files}read_text_file", "arguments": {"path": str(folder / "note.txt")}},
            {"name": f"{time}get_current_time", "arguments": {"timezone": "Europe/Berlin"}},
            {"name": f"{time}get_current_time", "arguments": {"timezone": "No/Where"}},
            {"name": f"{files}read_text_file", "arguments": {"path": "/etc/passwd"}},
            {"name": f"{everything}no-such-tool", "arguments": {}},
        ],
        "resource": "architecture.md",
        "prompt": f"{everything}simple-prompt",
    }


def ask(client: str, javascript: Callable[..., dict], planned: dict, url: str | None = None, stdio: dict | None = None) -> dict:
    """Sends one of the clients to a URL or to a command."""
    kind, _, mode = client.partition("-")
    if kind == "python":
        return visit(url or StdioServerParameters(**stdio), mode, planned)
    where = {"url": url} if url else {"stdio": stdio}
    if mode == "v1":
        return javascript("mcp_v1.mjs", plan=planned, **where)
    mode = mode.removeprefix("v2-")
    return javascript("mcp_v2.mjs", plan=planned, mode={"pin": MODERN} if mode == "modern" else mode, **where)


def check(found: dict) -> None:
    """What every client must have found."""
    assert {"everything__echo", "everything__get-sum", "filesystem__list_directory", "time__convert_time"} <= set(found["tools"])
    assert len(found["tools"]) == len(set(found["tools"]))
    echo, total, note, now, nowhere, forbidden, unknown = found["results"]
    assert echo == {"text": "Echo: héllo", "failed": False}
    assert total == {"text": "The sum of 2 and 3 is 5.", "failed": False}
    assert note == {"text": "Buy milk.", "failed": False}
    assert json.loads(now["text"])["timezone"] == "Europe/Berlin" and not now["failed"]
    assert nowhere["failed"] and "No/Where" in nowhere["text"]
    assert forbidden["failed"] and "denied" in forbidden["text"].lower()
    assert unknown["failed"] and "no-such-tool" in unknown["text"]
    assert "#" in found["resource"] and len(found["resource"]) > 200
    assert "everything__simple-prompt" in found["prompts"]
    assert found["prompt"] == "This is a simple prompt without arguments."


@pytest.mark.parametrize("client", CLIENTS)
def test_the_aggregate_over_http(served, javascript, tmp_path, client):
    check(ask(client, javascript, plan(tmp_path / "documents"), url=f"{served.url}/mcp"))


@pytest.mark.parametrize("client", CLIENTS)
def test_the_aggregate_over_stdio(config, javascript, tmp_path, client):
    file = tmp_path / "router.json"
    file.write_text(json.dumps(config))
    command = {"command": str(BINARY), "args": ["stdio", "--config", str(file)], "env": clean_environment(tmp_path)}
    check(ask(client, javascript, plan(tmp_path / "documents"), stdio=command))


@pytest.mark.parametrize("mode", PYTHON)
def test_the_era_is_the_clients_choice(served, mode):
    found = visit(f"{served.url}/mcp", mode, {"calls": []})
    assert (found["version"] == MODERN) == (mode != "legacy")


@pytest.mark.parametrize("client", ["python-legacy", f"python-{MODERN}", "js-v1", "js-v2-modern"])
def test_one_server_alone_has_its_own_names(served, javascript, client):
    planned = {"calls": [{"name": "convert_time", "arguments": {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}}]}
    found = ask(client, javascript, planned, url=f"{served.url}/mcp/time")
    assert sorted(found["tools"]) == ["convert_time", "get_current_time"]
    assert not found["results"][0]["failed"] and "21:00" in found["results"][0]["text"]
    planned = {"calls": [{"name": "echo", "arguments": {"message": "alone"}}], "resource": "features.md", "prompt": "simple-prompt"}
    found = ask(client, javascript, planned, url=f"{served.url}/mcp/everything")
    assert found["results"] == [{"text": "Echo: alone", "failed": False}]
    assert "simple-prompt" in found["prompts"] and "#" in found["resource"]


def test_two_eras_share_one_server(served):
    """`time` locks to the era it is first spoken to; its clients need not."""
    for mode in ("legacy", MODERN, "legacy"):
        found = visit(f"{served.url}/mcp/time", mode, {"calls": [{"name": "get_current_time", "arguments": {"timezone": "UTC"}}]})
        assert not found["results"][0]["failed"], mode


def test_order_is_stable(served):
    assert served.tools() == served.tools()
    servers = [name.split("__")[0] for name in served.tools()]
    assert list(dict.fromkeys(servers)) == ["everything", "filesystem", "time"]


def test_an_unknown_server_is_not_found(served):
    answer = served.http.post("/mcp/nobody", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers={"accept": "application/json, text/event-stream"})
    assert answer.status_code == 404
    told = answer.json()
    assert (told["jsonrpc"], told["id"], told["error"]["code"]) == ("2.0", None, 404)


def test_structured_content_arrives_as_it_was(served):
    result = served.call("time__get_current_time", {"timezone": "UTC"})["result"]
    assert result["structuredContent"]["timezone"] == "UTC"


def test_an_answer_says_who_gave_it(served):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "time__get_current_time", "arguments": {"timezone": "UTC"}}}
    answer = served.http.post("/mcp", json=body, headers={"accept": "application/json"})
    signed = [answer.headers[f"x-mcp-router-{name}"] for name in ("upstream", "source", "cache", "attempts")]
    assert signed == ["time", "live", "none", "1"]


def test_servers_are_in_health_and_metrics(served):
    assert success(served.call("everything__echo", {"message": "x"}))
    for name in ("everything", "filesystem", "time"):
        assert served.component(name)["status"] == "healthy"
        assert served.http.get(f"/health/{name}").status_code == 200
    assert served.http.get("/health/nobody").status_code == 404
    assert served.metric("mcp_response_time_seconds_count") >= 1


def test_a_server_that_cannot_start_delays_nobody(start):
    router = start({"mcpServers": {"absent": {"command": "/no/such/command"}, "time": TIME}})
    assert router.http.get("/health/live").status_code == 200
    router.wait_for_tools("time__get_current_time")
    assert "absent" in failure(router.call("absent__anything"))
    assert success(router.call("time__get_current_time", {"timezone": "UTC"}))
    assert router.component("absent")["status"] != "healthy"
