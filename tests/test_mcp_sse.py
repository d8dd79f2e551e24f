"""HTTP+SSE, the transport of 2024-11-05: for clients that know no other, and to servers that know no other."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client

from conftest import NODE, PACKAGES
from person import ROOT, Person
from processes import free_port, listens, wait_until
from router import MODERN, Router, failure, success

ASKING = str(Path(__file__).parent / "servers/asking.py")
PIPE = {"command": sys.executable, "args": [ASKING], "protocol": "legacy"}
KEY = "0123456789abcdef0me"


class Served:
    """A server of 2024-11-05 that a test can end and start again at the same address."""

    def __init__(self, *command: str | Path, **environment: str):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/sse"
        self.command = [str(part).replace("PORT", str(self.port)) for part in command]
        self.environment = {"PORT": str(self.port), **environment}
        self.begin()

    def begin(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.environment, stderr=subprocess.DEVNULL)
        wait_until("the server listens", lambda: listens(self.port), 90)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def serve() -> Iterator[Callable[[str], Served]]:
    running = []

    def serve_one(kind: str) -> Served:
        python, everything = (sys.executable, ASKING, "PORT", "sse"), (NODE, PACKAGES / "server-everything/dist/index.js", "sse")
        running.append(Served(*(python if kind == "python" else everything)))
        return running[-1]

    yield serve_one
    for served in running:
        served.end()


def visit(client: Client, person: Person, *calls: tuple[str, dict]) -> tuple[list[str], list[str]]:
    """The tools that there are, and what these calls say; an error is its message."""

    async def talk() -> tuple[list[str], list[str]]:
        async with client:
            tools, said = [tool.name for tool in (await client.list_tools()).tools], []
            for name, arguments in calls:
                try:
                    result = await client.call_tool(name, arguments, progress_callback=person.tick)
                    said.append(("!" if result.is_error else "") + "".join(getattr(block, "text", "") for block in result.content))
                except MCPError as error:
                    said.append(f"!{error}")
            return tools, said

    return asyncio.run(asyncio.wait_for(talk(), 60))


def through(url: str, person: Person) -> Client:
    """A client that knows nothing but HTTP+SSE."""
    return Client(sse_client(url), mode="legacy", read_timeout_seconds=30, **person.manner())


# -- in front


@pytest.fixture
def router(start) -> Router:
    router = start({"mcpServers": {"a": PIPE}, "views": {"some": {"servers": ["a"]}}, "clients": {"old": {}}})
    router.wait_for_tools("a__name", seconds=60)
    return router


@pytest.mark.parametrize(("path", "prefix"), [("/sse", "a__"), ("/sse/a", ""), ("/sse/v/some", "a__"), ("/c/old/sse", "a__")])
def test_every_endpoint_is_there_for_old_clients(router, path, prefix):
    person = Person()
    tools, said = visit(through(router.url + path, person), person, (f"{prefix}name", {}), (f"{prefix}none", {}))
    assert f"{prefix}think" in tools
    assert (said[0], person.asked) == ("N1", ["who?"]) and said[1].startswith("!") and "none" in said[1]


def test_an_old_client_is_asked_and_told_everything(router):
    person = Person()
    calls = [(tool, {}) for tool in ("think", "where", "both", "rounds", "slow")]
    _, said = visit(through(f"{router.url}/sse/a", person), person, *calls)
    # Of the two that come at once either may be shown first, and the names count what was shown.
    both = f"N{person.asked.index('who?') + 1} thought"
    assert said == ["thought", ROOT, both, "N5 N6", "N7"]
    assert set(person.progress) == {1, 2} and set(person.logs) == {"step 1", "step 2"}


@pytest.mark.parametrize("says", ["cancelled", "nothing"])
def test_a_call_of_an_old_client_ends_when_he_takes_it_back_or_goes(router, says):
    async def leave() -> None:
        person = Person()
        asked = person.hesitates()
        async with through(f"{router.url}/sse/a", person) as client:
            call = asyncio.create_task(client.call_tool("name", {}))
            await asyncio.wait_for(asked.wait(), 20)
            call.cancel()
            if says == "cancelled":
                await asyncio.wait([call])
                await client.list_tools()

    asyncio.run(asyncio.wait_for(leave(), 40))
    wait_until("the server hears of it", lambda: success(router.call("cancelled", path="/mcp/a")) == "1", 20, 0.2)


def test_javascript(router, javascript):
    found = javascript(
        "mcp_asked.mjs", url=f"{router.url}/sse/a", generation=1, sse=True, calls=["name", "think", "where", "rounds"],
        capabilities={"elicitation": {}, "sampling": {}, "roots": {}},
        answers={"elicitation": {"action": "accept", "content": {"name": "Bob"}}, "sampling": "hm", "roots": [ROOT],
                 "after Bob?": {"action": "decline"}},
    )
    assert found["results"] == [{"text": text, "failed": False} for text in ["Bob", "hm", ROOT, "Bob decline"]]


def test_an_address_is_good_for_its_own_client_while_he_listens(start):
    router = start({"keys": [{"name": "me", "key": KEY}, {"name": "you", "key": KEY[::-1]}], "mcpServers": {"a": PIPE}})
    me, you = ({"x-api-key": key} for key in (KEY, KEY[::-1]))
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for path, headers, status in [
        ("/sse", {}, 401), ("/sse", {**me, "origin": "https://evil.example"}, 403), ("/sse", {**me, "host": "evil.example"}, 403),
        ("/sse/nobody", me, 404), ("/sse/v/nothing", me, 404),
    ]:
        assert router.http.get(path, headers=headers).status_code == status, (path, headers)
    with router.http.stream("GET", "/sse", headers=me) as stream:
        lines = stream.iter_lines()
        assert (stream.headers["content-type"], next(lines)) == ("text/event-stream", "event: endpoint")
        address = next(lines).removeprefix("data: ")
        assert [router.http.post(address, json=ping, headers=who).status_code for who in (you, me, {})] == [404, 202, 401]
        assert router.http.post("/sse", json=ping, headers=me).status_code == 404
        assert '"result":{}' in next(line for line in lines if line.startswith("data: "))
    wait_until("the session has ended", lambda: router.http.post(address, json=ping, headers=me).status_code == 404)


# -- behind


@pytest.mark.parametrize("client", ["legacy", MODERN])
@pytest.mark.parametrize("written", [{}, {"type": "sse"}], ids=["found", "told"])
def test_a_server_that_knows_no_other(start, serve, client, written):
    served = serve("python")
    router = start({"mcpServers": {"a": {"url": served.url, **written}}})
    router.wait_for_tools("a__name", seconds=60)
    person = Person()
    calls = [(tool, {}) for tool in ("name", "think", "where", "slow", "none")]
    tools, said = visit(Client(f"{router.url}/mcp/a", mode=client, read_timeout_seconds=30, **person.manner()), person, *calls)
    assert "both" in tools and said[:4] == ["N1", "thought", ROOT, "N4"] and said[4].startswith("!")
    assert person.progress == [1, 2] and person.logs == ["step 1", "step 2"]


def test_the_everything_server(start, serve):
    router = start({"mcpServers": {"e": {"url": serve("everything").url}}})
    router.wait_for_tools("e__echo", seconds=60)
    person = Person()
    calls = [
        ("echo", {"message": "héllo"}), ("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
        ("trigger-elicitation-request", {}), ("get-sum", {"a": "x"}),
    ]
    _, said = visit(Client(f"{router.url}/mcp/e", mode="legacy", read_timeout_seconds=30, **person.manner()), person, *calls)
    assert said[0] == "Echo: héllo" and person.progress == [1, 2] and len(person.asked) == 1 and said[3].startswith("!"), said


def test_a_call_that_is_taken_back_is_told_the_server(start, serve):
    router = start({"mcpServers": {"a": {"url": serve("python").url, "timeout": "1s"}}})
    router.wait_for_tools("a__name", seconds=60)

    async def give_up() -> None:
        person = Person()
        asked = person.hesitates()
        async with Client(f"{router.url}/mcp/a", mode="legacy", **person.manner()) as client:
            call = asyncio.create_task(client.call_tool("name", {}))
            await asyncio.wait_for(asked.wait(), 20)
            call.cancel()
            await asyncio.wait([call])
            await client.list_tools()

    asyncio.run(asyncio.wait_for(give_up(), 40))
    wait_until("the server hears of it", lambda: success(router.call("cancelled", path="/mcp/a")) == "1", 20, 0.2)


def test_a_server_that_ends_is_met_again(start, serve):
    served = serve("python")
    router = start({"mcpServers": {"a": {"url": served.url, "retry": {"retries": 0}}}})
    router.wait_for_tools("a__name", seconds=60)

    async def asked_when_it_ends() -> str:
        person = Person()

        async def ends(context, params):
            await asyncio.to_thread(served.end)
            await asyncio.Event().wait()

        person.elicit = ends
        async with Client(f"{router.url}/mcp/a", mode="legacy", read_timeout_seconds=20, **person.manner()) as client:
            result = await client.call_tool("name", {})
            return result.content[0].text

    said = asyncio.run(asyncio.wait_for(asked_when_it_ends(), 40))
    assert "the server" in said and "stream" in said, said
    assert "a" in failure(router.call("think", path="/mcp/a"))
    served.begin()
    wait_until("it is met again", lambda: answers(router, "cancelled"), 60, 0.3)


def answers(router: Router, tool: str) -> bool:
    reply = router.call(tool, path="/mcp/a")
    return "error" not in reply and not reply["result"].get("isError")


class Elsewhere:
    """A server whose stream names another server's address for what is said to it."""

    def __init__(self, address: str):
        self.port = free_port()
        script = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-type", "text/event-stream"); self.end_headers()
        self.wfile.write(b"event: endpoint\\ndata: {address}\\n\\n"); self.wfile.flush()
        import time; time.sleep(60)
    def do_POST(self):
        self.send_response(405); self.send_header("content-length", "0"); self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", {self.port}), Handler).serve_forever()
"""
        self.process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        wait_until("it listens", lambda: listens(self.port), 60)


def test_what_a_server_is_shown_goes_to_no_other(start):
    elsewhere = Elsewhere("http://127.0.0.1:1/messages")
    try:
        headers = {"authorization": "Bearer canary"}
        router = start({"mcpServers": {"a": {"url": f"http://127.0.0.1:{elsewhere.port}/sse", "headers": headers}}})
        told = wait_until("it is refused", lambda: router.http.get("/health/a").json().get("message"), 30, 0.2)
        assert "another server's" in told and "canary" not in told, told
    finally:
        elsewhere.process.kill()
        elsewhere.process.wait(10)
