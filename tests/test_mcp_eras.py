"""Servers that ask, to clients of either era: each of the four cells, by the official clients of both languages."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from mcp import Client, MCPError

from person import ROOT, Person
from processes import free_port, listens, wait_until
from router import MODERN, Router

ASKING = str(Path(__file__).parent / "servers/asking.py")
ERAS = ["legacy", "modern"]
MODES = {"legacy": "legacy", "modern": MODERN}


@pytest.fixture
def over_http() -> Iterator[Callable[[], str]]:
    """Starts asking servers over HTTP; the address of each."""
    running = []

    def start_one() -> str:
        port = free_port()
        running.append(subprocess.Popen([sys.executable, ASKING, str(port)]))
        wait_until("the server listens", lambda: listens(port), 90)
        return f"http://127.0.0.1:{port}/mcp"

    yield start_one
    for process in running:
        process.kill()
        process.wait(10)


@pytest.fixture
def asking(start: Callable[..., Router], over_http: Callable[[], str], tmp_path: Path) -> Callable[..., Router]:
    """A router in front of one asking server, of one era and over one transport."""

    def start_one(era: str, reach: str = "stdio", **more) -> Router:
        how = {"url": over_http()} if reach == "http" else {"command": sys.executable, "args": [ASKING]}
        router = start({"mcpServers": {"a": {**how, "protocol": era, "roots": [str(tmp_path / "shared")], **more}}})
        router.wait_for_tools("a__name", seconds=60)
        return router

    return start_one


@asynccontextmanager
async def client_of(person: Person, router: Router, mode: str):
    async with Client(f"{router.url}/mcp/a", mode=MODES[mode], read_timeout_seconds=30, **person.manner()) as client:
        yield client


def call(person: Person, router: Router, mode: str, *tools: str, arguments: dict | None = None) -> list[str]:
    """What these tools say, one after the other; an error is its message."""

    async def visit() -> list[str]:
        async with client_of(person, router, mode) as client:
            said = []
            for tool in tools:
                try:
                    result = await client.call_tool(tool, arguments or {}, progress_callback=person.tick)
                    said.append(("!" if result.is_error else "") + result.content[0].text)
                except MCPError as error:
                    said.append(f"!{error}")
            return said

    return asyncio.run(asyncio.wait_for(visit(), 60))


@pytest.mark.parametrize("reach", ["stdio", "http"])
@pytest.mark.parametrize("server", ERAS)
def test_every_kind_of_question_in_every_cell(asking, server, reach):
    router = asking(server, reach)
    for client in ERAS:
        person = Person()
        # Over HTTP a legacy server asks for roots on its standing stream.
        assert call(person, router, client, "name", "think", "where") == ["N1", "thought", ROOT], client
        assert person.asked == ["who?", "sample", "roots"]


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("client", ERAS)
def test_a_person_may_decline_or_go_away(asking, server, client):
    router = asking(server)
    for action in ("decline", "cancel"):
        assert call(Person(action), router, client, "name") == [action]


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("client", ERAS)
def test_several_questions_at_once_and_one_after_the_other(asking, server, client):
    router, person = asking(server), Person()
    both, rounds = call(person, router, client, "both", "rounds")
    # Of the two that come at once either may be shown first, and the names count what was shown.
    first = 1 + person.asked.index("who?")
    assert (both, rounds) == (f"N{first} thought", "N3 N4")
    assert sorted(person.asked[:2]) == ["sample", "who?"] and person.asked[2:] == ["first?", "after N3?"]


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("client", ERAS)
def test_progress_and_log_lines_are_heard_around_a_question(asking, server, client):
    router, person = asking(server), Person()
    assert call(person, router, client, "slow") == ["N1"]
    # A modern server runs the tool anew in each round.
    assert set(person.progress) == {1, 2} and set(person.logs) == {"step 1", "step 2"}, (person.progress, person.logs)


@pytest.mark.parametrize("client", ERAS)
def test_an_address_to_visit(asking, client):
    router, person = asking("legacy"), Person()
    [said] = call(person, router, client, "visit")
    if client == "modern":
        assert (said, person.asked) == ("visited", ["https://example.com/in"])
    else:
        assert (said, person.asked) == ("!sign in first", [])


@pytest.mark.parametrize("server", ERAS)
def test_a_client_that_can_answer_nothing_is_told_so(asking, server):
    router = asking(server)

    async def bare(mode: str) -> str:
        async with Client(f"{router.url}/mcp/a", mode=MODES[mode]) as client:
            try:
                return (await client.call_tool("name", {})).content[0].text
            except MCPError as error:
                return str(error)

    for client in ERAS:
        said = asyncio.run(asyncio.wait_for(bare(client), 30))
        assert "elicitation" in said.lower(), (client, said)


def asked_by_hand(router: Router, number: int, **more) -> dict:
    """A modern call by hand, so that it can be left where it stands."""
    able = {"elicitation": {"form": {}}}
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": able}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "name"}
    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "name", "arguments": {}, "_meta": meta, **more}}
    return httpx.post(f"{router.url}/mcp/a", json=body, headers=headers, timeout=30).json()


def given_up(router: Router) -> int:
    return int(router.call("cancelled", path="/mcp/a")["result"]["content"][0]["text"])


def test_t_13_a_parked_call_waits_for_the_right_request_only(asking):
    router = asking("legacy")
    first = asked_by_hand(router, 1)["result"]
    assert first["resultType"] == "input_required" and first["inputRequests"]["1"]["method"] == "elicitation/create"
    state, answers = first["requestState"], {"1": {"action": "accept", "content": {"name": "Ann"}}}
    for wrong in ({"requestState": state[:-2] + "AA"}, {"requestState": state, "arguments": {"x": 1}}, {"requestState": "nonsense"}):
        assert asked_by_hand(router, 2, inputResponses=answers, **wrong)["error"]["code"] == -32602
    assert asked_by_hand(router, 3, inputResponses={"1": "Ann"}, requestState=state)["error"]["code"] == -32602
    last = asked_by_hand(router, 4, inputResponses=answers, requestState=state)
    assert last["result"]["content"][0]["text"] == "Ann" and last["id"] == 4
    assert asked_by_hand(router, 5, inputResponses=answers, requestState=state)["error"]["code"] == -32602


def test_what_is_parked_ends_with_the_router(asking):
    router = asking("legacy")
    assert asked_by_hand(router, 1)["result"]["resultType"] == "input_required"
    started = asyncio.run(timed(router.stop))
    assert started < 10, "nobody is waited for who may come back"


async def timed(what: Callable[[], None]) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await loop.run_in_executor(None, what)
    return loop.time() - begun


@pytest.mark.parametrize("server", ERAS)
def test_a_legacy_client_that_leaves_while_it_is_asked_ends_its_call(asking, server):
    router = asking(server)

    async def leave() -> None:
        person = Person()
        asked = person.hesitates()
        async with client_of(person, router, "legacy") as client:
            call = asyncio.create_task(client.call_tool("name", {}))
            await asyncio.wait_for(asked.wait(), 20)
            call.cancel()

    asyncio.run(asyncio.wait_for(leave(), 40))
    # A client that goes at once takes the call back, or answers that he goes, whichever he comes to first. A modern server
    # was not left waiting: it had answered.
    wait_until("it hears of it", lambda: server == "modern" or given_up(router) == 1, 10, 0.2)


@pytest.mark.parametrize("server", ERAS)
@pytest.mark.parametrize("generation, mode", [(1, "legacy"), (2, "legacy"), (2, {"pin": MODERN})], ids=["v1", "v2-legacy", "v2-modern"])
def test_javascript(asking, javascript, server, generation, mode):
    router = asking(server)
    found = javascript(
        "mcp_asked.mjs", url=f"{router.url}/mcp/a", generation=generation, mode=mode,
        calls=["name", "think", "where", "both", "rounds"], capabilities={"elicitation": {}, "sampling": {}, "roots": {}},
        answers={"elicitation": {"action": "accept", "content": {"name": "Bob"}}, "sampling": "hm", "roots": [ROOT],
                 "after Bob?": {"action": "decline"}},
    )
    said = ["Bob", "hm", ROOT, "Bob hm", "Bob decline"]
    assert found["results"] == [{"text": text, "failed": False} for text in said]
    assert len(found["asked"]) == 7
