"""What clients of MCP see of many servers: names, views, filters, pages, and tools that are searched for."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from conftest import EVERYTHING, TESTS, TIME, filesystem
from mcp_visit import visit
from processes import wait_until
from router import BINARY, MODERN, Router, clean_environment, failure, run, success

MODES = ["legacy", MODERN]
ME, YOU = "key-of-me-0123456789", "key-of-you-0123456789"


def tool(name: str, description: str = "", **properties: dict) -> dict:
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": properties}}


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., dict]:
    """A server that has what is said; the file that says it can be written anew."""

    def server(name: str, **has) -> dict:
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(has))
        return {"command": sys.executable, "args": [str(TESTS / "servers/listed.py"), str(file)]}

    return server


def said(reply: dict) -> dict:
    """What a listed tool was asked."""
    return json.loads(success(reply))


def everything_listed(router: Router, path: str = "/mcp", method: str = "tools/list", field: str = "tools") -> list[list[dict]]:
    """All pages of a list."""
    pages, cursor = [], None
    while cursor or not pages:
        result = router.rpc(method, {"cursor": cursor} if cursor else {}, path)["result"]
        pages.append(result[field])
        cursor = result.get("nextCursor")
    return pages


# -- names


def test_names_by_policy(start, listed):
    servers = {
        "one": listed("one", tools=[tool("search"), tool("only_one")]),
        "two": listed("two", tools=[tool("search"), tool("only_two")]),
    }
    expected = {
        "always": ["one__search", "one__only_one", "two__search", "two__only_two"],
        "on_conflict": ["one__search", "only_one", "two__search", "only_two"],
        "never": ["search", "only_one", "only_two"],
    }
    views = {policy: {"prefix": policy} for policy in expected}
    router = start({"mcpServers": servers, "views": views, "catalog": {"aliases": {"find": "two__search"}}})
    router.wait_for_tools("one__search", "find")
    for policy, names in expected.items():
        path = f"/mcp/v/{policy}"
        names = [{"two__search": "find"}.get(name, name) for name in names]
        if policy == "on_conflict":
            # The alias takes one of the two out of the conflict.
            names[0] = "search"
        if policy == "never":
            names.insert(2, "find")
        assert router.tools(path) == names, policy
        for name in names:
            own = {"find": "search"}.get(name, name.split("__")[-1])
            assert said(router.call(name, path=path))["name"] == own
        # The whole name leads there whatever the policy is.
        assert said(router.call("two__search", path=path))["name"] == "search"


@pytest.mark.parametrize("mode", MODES)
def test_long_and_strange_names_fit_models_and_lead_back(start, listed, mode):
    own = ["a" * 60 + "_first", "a" * 60 + "_second", "größe/ändern", "plain"]
    config = {"mcpServers": {"s": listed("s", tools=[tool(name) for name in own])}}
    router = start(config)
    router.wait_for_tools("s__plain")
    found = visit(f"{router.url}/mcp", mode, {"calls": []})["tools"]
    assert len(set(found)) == 4 and found[3] == "s__plain"
    for name in found:
        assert len("mcp__mcp-router__" + name) <= 64 and name.isascii() and all(letter.isalnum() or letter in "_.-" for letter in name)
    calls = [{"name": name, "arguments": {}} for name in found]
    results = visit(f"{router.url}/mcp", mode, {"calls": calls})["results"]
    assert [json.loads(result["text"])["name"] for result in results] == own
    # Another process, which was never asked for a list, knows whom they mean.
    again = start(config)
    wait_until("the server", lambda: "result" in again.call(found[0]), 20)
    assert [said(again.call(name))["name"] for name in found] == own


def test_tools_are_told_as_the_operator_wants(start, listed):
    one = tool("get", "Old words.", owner={"type": "string"}, count={"type": "integer"})
    one["inputSchema"]["required"] = ["owner", "count"]
    one |= {"annotations": {"readOnlyHint": True, "x-own": 1}, "x-vendor": {"big": 12345678901234567890123}}
    overrides = {
        "get": {
            "name": "fetch_one", "title": "Fetch", "description": "New words.",
            "annotations": {"readOnlyHint": False}, "arguments": {"owner": "me"},
        }
    }
    router = start({"mcpServers": {"s": {**listed("s", tools=[one]), "overrides": overrides}}})
    router.wait_for_tools("s__fetch_one")
    for path, name in [("/mcp", "s__fetch_one"), ("/mcp/s", "fetch_one")]:
        told = router.rpc("tools/list", path=path)["result"]["tools"][0]
        assert told == {
            **one, "name": name, "title": "Fetch", "description": "New words.",
            "annotations": {"readOnlyHint": False, "x-own": 1},
            "inputSchema": {
                "type": "object",
                "properties": {"owner": {"type": "string", "default": "me"}, "count": {"type": "integer"}},
                "required": ["count"],
            },
        }
        assert said(router.call(name, {"count": 1}, path)) == {"name": "get", "arguments": {"count": 1, "owner": "me"}}
        assert said(router.call(name, {"count": 1, "owner": "you"}, path))["arguments"] == {"count": 1, "owner": "you"}


# -- filters and views


def test_what_is_not_offered_is_not_there(start, listed):
    has = {
        "tools": [tool("get_a"), tool("get_b"), tool("put_a"), tool("rm")],
        "prompts": [{"name": "hi"}, {"name": "secret"}],
        "resources": [{"uri": "file:///a", "name": "a"}, {"uri": "file:///etc/b", "name": "b"}],
    }
    chosen = {
        "tools": {"allow": ["get_*", "put_*"], "deny": ["get_b"]},
        "disabledTools": ["rm"],
        "prompts": {"deny": ["secret"]},
        "resources": {"deny": ["file:///etc/*"]},
    }
    router = start({"mcpServers": {"s": {**listed("s", **has), **chosen}}, "views": {"read": {"tools": {"deny": ["put_*"]}}}})
    router.wait_for_tools("s__get_a")
    assert router.tools() == ["s__get_a", "s__put_a"]
    assert router.tools("/mcp/v/read") == ["s__get_a"]
    assert router.tools("/mcp/s") == ["get_a", "put_a"]
    for path, name in [("/mcp", "s__rm"), ("/mcp", "s__get_b"), ("/mcp/s", "get_b"), ("/mcp/v/read", "s__put_a"), ("/mcp/v/read", "s__rm")]:
        assert "unknown tool" in failure(router.call(name, path=path)), (path, name)
    for path in ("/mcp", "/mcp/s", "/mcp/v/read"):
        assert [one["uri"] for one in router.rpc("resources/list", path=path)["result"]["resources"]] == ["file:///a"]
        assert "result" in router.rpc("resources/read", {"uri": "file:///a"}, path)
        assert router.rpc("resources/read", {"uri": "file:///etc/b"}, path)["error"]["code"] == -32602
    assert [one["name"] for one in router.rpc("prompts/list")["result"]["prompts"]] == ["s__hi"]
    assert "error" in router.rpc("prompts/get", {"name": "s__secret"})


def test_t06_a_view_that_is_not_there_or_not_yours_is_closed(start, listed):
    servers = {"one": listed("one", tools=[tool("a")]), "two": listed("two", tools=[tool("b")])}
    config = {
        "mcpServers": servers,
        "views": {"ones": {"servers": ["one"]}, "twos": {"servers": ["two"]}},
        "keys": [{"name": "me", "key": ME}, {"name": "you", "key": YOU, "view": "twos"}],
    }
    router = start(config)
    router.http.headers["authorization"] = f"Bearer {ME}"
    router.wait_for_tools("one__a", "two__b")
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    nowhere = ["/mcp/v/bogus", "/mcp/v/", "/mcp/v", "/mcp/v/ONES", "/mcp/v/ones/x", "/mcp/v/%2e%2e", "/mcp/bogus"]
    open_to = {
        ME: {"/mcp": ["one__a", "two__b"], "/mcp/v/ones": ["one__a"], "/mcp/v/twos": ["two__b"], "/mcp/one": ["a"], "/mcp/two": ["b"]},
        YOU: {"/mcp": ["two__b"], "/mcp/v/twos": ["two__b"]},
    }
    for key, visible in open_to.items():
        headers = {"authorization": f"Bearer {key}", "accept": "application/json, text/event-stream"}
        for path in [*open_to[ME], *nowhere]:
            answer = router.http.post(path, json=body, headers=headers)
            if path in visible:
                assert [one["name"] for one in answer.json()["result"]["tools"]] == visible[path], (key, path)
            else:
                assert answer.status_code == 404, (key, path)
                assert answer.json()["jsonrpc"] == "2.0" and "error" in answer.json()
    router.http.headers["authorization"] = f"Bearer {YOU}"
    assert "unknown tool" in failure(router.call("one__a")) and success(router.call("two__b"))
    # What depends on the key must not be kept for others.
    assert router.rpc("tools/list")["result"]["cacheScope"] == "private"
    told = router.http.post("/mcp/v/ones", json=body).json()["error"]["message"]
    assert "ones" in told and "one__a" not in told and "me" not in told.split()


@pytest.mark.parametrize("mode", MODES)
def test_a_view_over_a_pipe(tmp_path, listed, mode):
    config = {
        "mcpServers": {"one": listed("one", tools=[tool("a"), tool("b")]), "two": listed("two", tools=[tool("c")])},
        "views": {"some": {"servers": ["one"], "tools": ["a"], "instructions": "Only a."}},
    }
    file = tmp_path / "router.json"
    file.write_text(json.dumps(config))
    for words, names in [(["--view", "some"], ["one__a"]), (["--server", "two"], ["c"])]:
        command = {"command": str(BINARY), "args": ["stdio", *words, "--config", str(file)], "env": clean_environment(tmp_path)}
        found = visit(StdioServerParameters(**command), mode, {"calls": [{"name": names[0], "arguments": {}}]})
        assert found["tools"] == names and not found["results"][0]["failed"]
    done = run(tmp_path, "stdio", "--view", "nothing", "--config", str(file))
    assert done.returncode == 1 and 'there is no view "nothing"' in done.stderr and "some" in done.stderr


def test_listeners_hear_of_their_own_view_only(start, listed, tmp_path):
    servers = {"one": listed("one", tools=[tool("a"), tool("again")]), "two": listed("two", tools=[tool("b"), tool("again")])}
    router = start({"mcpServers": servers, "views": {"a": {"tools": ["one__*"]}, "b": {"servers": ["two"], "tools": ["b*"]}}})
    router.wait_for_tools("one__a", "two__b")
    for view in "ab":
        router.tools(f"/mcp/v/{view}")

    async def hear() -> dict[str, int]:
        heard = {"a": 0, "b": 0}

        async def listen(view: str) -> None:
            async def count(message) -> None:
                heard[view] += "list_changed" in str(getattr(message, "method", getattr(getattr(message, "root", None), "method", "")))

            async with Client(f"{router.url}/mcp/v/{view}", mode="legacy", message_handler=count) as client:
                await client.list_tools()
                await asyncio.sleep(6)

        async def change() -> None:
            await asyncio.sleep(2)
            # `again` of server two is not to be seen in view b, nor is anything else of it that changes here.
            (tmp_path / "two.json").write_text(json.dumps({"tools": [tool("b"), tool("again"), tool("hidden")]}))
            await asyncio.to_thread(router.call, "two__again")
            (tmp_path / "one.json").write_text(json.dumps({"tools": [tool("a"), tool("again"), tool("new")]}))
            await asyncio.to_thread(router.call, "one__again")

        await asyncio.gather(listen("a"), listen("b"), change())
        return heard

    assert asyncio.run(hear()) == {"a": 1, "b": 0}
    assert router.tools("/mcp/v/a") == ["one__a", "one__again", "one__new"]


# -- pages


def test_pages_are_whole_and_cursors_are_only_ours(start, listed):
    one, two = [[tool(f"t{number:03}") for number in range(count)] for count in (230, 41)]
    config = {
        "mcpServers": {"one": listed("one", tools=one, page=7), "two": listed("two", tools=two)},
        "catalog": {"page_size": 100}, "views": {"small": {"page_size": 30}},
    }
    router = start(config)
    router.wait_for_tools("one__t000")
    names = [f"one__t{number:03}" for number in range(230)] + [f"two__t{number:03}" for number in range(41)]
    wait_until("both servers", lambda: sum(map(len, everything_listed(router))) == 271)
    for path, size in [("/mcp", 100), ("/mcp/v/small", 30)]:
        pages = everything_listed(router, path)
        assert [one["name"] for page in pages for one in page] == names
        assert {len(page) for page in pages[:-1]} == {size}
    cursor = router.rpc("tools/list")["result"]["nextCursor"]
    assert "one" not in cursor and "100" not in cursor
    for path, bad in [("/mcp", "x"), ("/mcp", cursor[:-1]), ("/mcp", cursor[::-1]), ("/mcp/v/small", cursor), ("/mcp", "0")]:
        assert router.rpc("tools/list", {"cursor": bad}, path)["error"]["code"] == -32602, bad
    assert router.rpc("prompts/list", {"cursor": cursor})["error"]["code"] == -32602


def test_a_list_that_changes_meanwhile_is_gone_on_with_as_it_was(start, listed, tmp_path):
    tools = [tool(f"t{number}") for number in range(10)]
    router = start({"mcpServers": {"s": listed("s", tools=[*tools, tool("again")])}, "catalog": {"page_size": 4}})
    router.wait_for_tools("s__t0")
    first = router.rpc("tools/list")["result"]
    stale = first["nextCursor"]
    for change in range(4):
        (tmp_path / "s.json").write_text(json.dumps({"tools": [tool(f"new{change}"), *tools, tool("again")]}))
        success(router.call("s__again"))
        wait_until("the change", lambda: router.tools()[0] == f"s__new{change}")
        second = router.rpc("tools/list", {"cursor": stale})
        if change < 2:
            assert [one["name"] for one in second["result"]["tools"]] == ["s__t4", "s__t5", "s__t6", "s__t7"], change
        else:
            assert second["error"]["code"] == -32602 and "changed" in second["error"]["message"]


# -- resources and prompts


def test_resources_and_prompts_are_federated(start, listed):
    one = {"resources": [{"uri": "x:both", "name": "1"}, {"uri": "x:one", "name": "1"}], "prompts": [{"name": "hi"}]}
    two = {
        "resources": [{"uri": "x:both", "name": "2"}, {"uri": "x:two", "name": "2"}], "prompts": [{"name": "hi"}],
        "resourceTemplates": [{"uriTemplate": "t://{id}", "name": "t"}],
    }
    router = start({"mcpServers": {"one": listed("one", **one), "two": listed("two", **two)}})

    def listed_everywhere() -> bool:
        return len(router.rpc("resources/list")["result"]["resources"]) == 3

    wait_until("both servers", listed_everywhere)
    owner = {"x:both": "one", "x:one": "one", "x:two": "two", "t://7": "two"}
    for uri, server in owner.items():
        assert f"{server}.json {uri}" in router.rpc("resources/read", {"uri": uri})["result"]["contents"][0]["text"]
    assert [one["name"] for one in router.rpc("prompts/list")["result"]["prompts"]] == ["one__hi", "two__hi"]
    assert router.rpc("prompts/get", {"name": "two__hi"})["result"]["messages"][0]["content"]["text"] == "hi"
    argument = {"argument": {"name": "id", "value": "7"}}
    for reference, value in [({"type": "ref/prompt", "name": "two__hi"}, "hi"), ({"type": "ref/resource", "uri": "t://{id}"}, "t://{id}")]:
        assert router.rpc("completion/complete", {"ref": reference, **argument})["result"]["completion"]["values"] == [value]


def test_a_server_that_dies_keeps_its_place_on_the_list(start, tmp_path):
    sign = tmp_path / "may-run"
    sign.touch()
    # Without the sign it ends as soon as it starts: it is back when the test wants it, not when it is quick enough.
    everything = {"command": "sh", "args": ["-c", 'test -e "$0" && exec "$@"', str(sign), EVERYTHING["command"], *EVERYTHING["args"]]}
    router = start({"mcpServers": {"everything": everything, "files": filesystem(tmp_path), "time": TIME}})
    router.wait_for_tools("everything__echo", "files__list_directory", "time__get_current_time")
    before = router.tools()
    pid = router.component("everything")["metadata"]["pid"]
    sign.unlink()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    for _ in range(3):
        began = time.monotonic()
        assert router.tools() == before, "as it was, while it is away"
        assert time.monotonic() - began < 2
        assert "everything" in failure(router.call("everything__echo", {"message": "x"}))
    sign.touch()
    wait_until("it is back", lambda: not router.call("everything__echo", {"message": "x"})["result"].get("isError"), 30)
    assert router.tools() == before


# -- lazy discovery

META = ["search_tools", "describe_tools", "call_tool"]


@pytest.fixture
def lazy(start, listed, tmp_path) -> Router:
    many = [tool(f"filler_{number}", f"Does filler thing number {number}.", text={"type": "string"}) for number in range(300)]
    tracker = [
        tool("create_issue", "Opens a new issue in the tracker of a repository.", title={"type": "string"}, labels={"type": "array"}),
        tool("list_issues", "Lists the issues of a repository, newest first."),
        tool("mergePullRequest", "Merges a pull request into its base branch."),
    ]
    config = {
        "mcpServers": {"filler": listed("filler", tools=many), "tracker": listed("tracker", tools=tracker), "time": TIME},
        "views": {"lazy": {"lazy": True}, "auto": {"lazy": "auto"}, "few": {"servers": ["time"], "lazy": "auto"}},
    }
    router = start(config)
    router.wait_for_tools("filler__filler_0", "tracker__list_issues", "time__get_current_time")
    return router


def structured(reply: dict) -> dict:
    result = reply["result"]
    assert not result.get("isError"), result
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    return result["structuredContent"]


def test_tools_are_found_described_and_called(lazy):
    path = "/mcp/v/lazy"
    assert lazy.tools(path) == META and lazy.tools("/mcp/v/auto") == META
    assert lazy.tools("/mcp/v/few") == ["time__get_current_time", "time__convert_time"]
    for question, first in [
        ("open an issue", "tracker__create_issue"), ("merge pull requests", "tracker__mergePullRequest"),
        ("current time in a timezone", "time__get_current_time"), ("filler number 77", "filler__filler_77"),
    ]:
        found = structured(lazy.call("search_tools", {"query": question}, path))
        assert found["tools"][0]["name"] == first and found["of"] == 305
        assert found == structured(lazy.call("search_tools", {"query": question}, path))
    assert len(structured(lazy.call("search_tools", {"query": "filler", "limit": 3}, path))["tools"]) == 3
    of_server = structured(lazy.call("search_tools", {"query": "time filler issue", "server": "tracker"}, path))
    assert {one["server"] for one in of_server["tools"]} == {"tracker"}
    described = structured(lazy.call("describe_tools", {"names": ["tracker__create_issue", "nobody__x"]}, path))
    definition = next(one for one in lazy.rpc("tools/list")["result"]["tools"] if one["name"] == "tracker__create_issue")
    assert described == {"tools": [definition], "unknown": ["nobody__x"]}
    called = lazy.call("call_tool", {"name": "tracker__create_issue", "arguments": {"title": "t"}}, path)
    assert said(called) == {"name": "create_issue", "arguments": {"title": "t"}}
    assert called["result"] == lazy.call("tracker__create_issue", {"title": "t"})["result"]
    for name, arguments in [("tracker__create_isue", {}), ("time__get_current_time", {"timezone": "No/Where"})]:
        through, straight = lazy.call("call_tool", {"name": name, "arguments": arguments}, path), lazy.call(name, arguments)
        assert through == straight and failure(through)
    for name, arguments in [("search_tools", {}), ("describe_tools", {}), ("call_tool", {}), ("call_tool", {"name": "search_tools"})]:
        assert failure(lazy.call(name, arguments, path)), (name, arguments)


def test_what_is_saved_is_counted(lazy):
    path = "/mcp/v/lazy"
    whole = len(json.dumps(lazy.rpc("tools/list")["result"]["tools"]))
    before = lazy.metric("mcp_lazy_tokens_saved_total", view="lazy")
    lazy.tools(path)
    saved = lazy.metric("mcp_lazy_tokens_saved_total", view="lazy") - before
    assert whole / 8 < saved < whole / 2
    lazy.call("search_tools", {"query": "issue"}, path)
    spent = lazy.metric("mcp_lazy_tokens_spent_total", view="lazy")
    assert 10 < spent < 1000
    told = lazy.http.get("/health").json()["metadata"]["lazy"]
    assert set(told) == {"lazy", "auto", "few"} and told["lazy"]["tokens_spent"] == spent


@pytest.mark.parametrize("mode", MODES)
def test_lazy_tools_with_the_official_client(lazy, mode):
    async def go() -> None:
        async with Client(f"{lazy.url}/mcp/v/lazy", mode=mode, read_timeout_seconds=30) as client:
            tools = {one.name: one for one in (await client.list_tools()).tools}
            assert list(tools) == META
            assert tools["search_tools"].annotations.read_only_hint and not tools["call_tool"].annotations.read_only_hint
            found = await client.call_tool("search_tools", {"query": "get the current time"})
            name = found.structured_content["tools"][0]["name"]
            described = await client.call_tool("describe_tools", {"names": [name]})
            assert described.structured_content["tools"][0]["inputSchema"]["required"] == ["timezone"]
            now = await client.call_tool("call_tool", {"name": name, "arguments": {"timezone": "Asia/Tokyo"}})
            assert json.loads(now.content[0].text)["timezone"] == "Asia/Tokyo"

    asyncio.run(asyncio.wait_for(go(), 60))


def test_an_answer_through_call_tool_says_who_gave_it(lazy):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "call_tool", "arguments": {"name": "time__get_current_time", "arguments": {"timezone": "UTC"}}}}
    answer = lazy.http.post("/mcp/v/lazy", json=body, headers={"accept": "application/json"})
    assert answer.headers["x-mcp-router-upstream"] == "time" and answer.headers["x-mcp-router-attempts"] == "1"
