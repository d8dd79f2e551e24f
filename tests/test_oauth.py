"""Signing in to MCP servers, against a real authorization server and with a scripted browser."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from processes import wait_until
from router import BINARY, Router, clean_environment
from signing_in import World, asked_for, browse

def offered(router: Router) -> str | None:
    """The address to open, as `/health` tells it."""
    components = router.http.get("/health").json()["components"]
    return next(component for component in components if component["name"] == "far")["metadata"]["sign_in"]


def ready(router: Router) -> None:
    # Until somebody has signed in its list is an error that says so.
    def lists() -> bool:
        tools = router.rpc("tools/list", path="/mcp/far").get("result", {}).get("tools", [])
        return "read" in [tool["name"] for tool in tools]

    wait_until(f"the server is up; log:\n{router.log_text()}", lists, 20)


def text(reply: dict) -> str:
    return reply["result"]["content"][0]["text"]


def call(router: Router, tool: str) -> dict:
    return router.rpc("tools/call", {"name": tool, "arguments": {}}, path="/mcp/far")


def test_a_person_signs_in_and_stays_so(start: Callable[..., Router], world: Callable[..., World]) -> None:
    there = world()
    router = start(there.config())
    wait_until("somebody is asked to sign in", lambda: offered(router), 20)
    url = offered(router)
    assert asked_for(url, "resource") == f"{there.server.url}/mcp"
    wait_until("the log tells it, too", lambda: "open the address" in router.log_text())
    answer = browse(url)
    assert (answer.status_code, answer.text) == (200, "Signed in to far. This window can be closed.\n")
    ready(router)
    assert text(call(router, "read")) == "read"
    assert offered(router) is None
    # T-09: what came back once comes back to nothing.
    again = httpx.get(str(answer.url))
    assert (again.status_code, there.asked("POST /token")) == (400, 1)
    # T-36: nobody is told, and nobody finds it on the disk.
    token = there.shown()[-1].removeprefix("Bearer ")
    code = parse_qs(urlsplit(str(answer.url)).query)["code"][0]
    told = [router.log_text(), router.http.get("/health").text, router.http.get("/metrics").text, again.text]
    kept = [file.read_bytes() for file in there.state.rglob("*") if file.is_file()]
    assert kept and not any(secret in page for secret in (token, code) for page in told)
    assert not any(token.encode() in page for page in kept)
    router.stop()
    restarted = start(there.config())
    ready(restarted)
    assert (there.asked("GET /auth"), there.asked("POST /reg")) == (1, 1)


def test_a_clients_own_key_goes_nowhere(start: Callable[..., Router], world: Callable[..., World]) -> None:
    # T-08: what a client shows to us is for us.
    there = world()
    router = start({**there.config(), "keys": [{"name": "me", "key": "client-canary-0123456789"}]})
    router.http.headers["authorization"] = "Bearer client-canary-0123456789"
    wait_until("somebody is asked to sign in", lambda: offered(router), 20)
    browse(offered(router))
    ready(router)
    assert text(call(router, "read")) == "read"
    everything = json.dumps(there.server.seen()) + json.dumps(there.authority.seen())
    assert "canary" not in everything


def test_a_server_that_wants_more_gets_it_asked_for(start: Callable[..., Router], world: Callable[..., World]) -> None:
    there = world()
    router = start(there.config())
    wait_until("somebody is asked to sign in", lambda: offered(router), 20)
    browse(offered(router))
    ready(router)
    refused = call(router, "write")
    url = re.search(r"http://\S+", json.dumps(refused))[0]
    assert set(asked_for(url, "scope").split()) == {"tools:read", "tools:write", "offline_access"}
    assert browse(url).status_code == 200
    assert text(call(router, "write")) == "written"
    assert text(call(router, "read")) == "read"


def test_a_token_is_renewed_before_it_is_over(start: Callable[..., Router], world: Callable[..., World]) -> None:
    there = world(seconds=31)
    router = start(there.config())
    wait_until("somebody is asked to sign in", lambda: offered(router), 20)
    browse(offered(router))
    ready(router)
    first = there.asked("POST /token")
    for _ in range(3):
        time.sleep(1.5)
        assert text(call(router, "read")) == "read"
    assert there.asked("POST /token") >= first + 2
    assert (there.asked("GET /auth"), offered(router)) == (1, None)


def test_a_program_signs_in_by_itself(start: Callable[..., Router], world: Callable[..., World]) -> None:
    there = world()
    router = start(there.config(grant="client_credentials", client_id="robot", client_secret="robot-secret-canary"))
    ready(router)
    assert text(call(router, "read")) == "read"
    assert "canary" not in router.log_text() + router.http.get("/health").text


def test_an_authority_inside_is_not_called(start: Callable[..., Router], world: Callable[..., World]) -> None:
    there = world()
    router = start({**there.config(), "egress": {}})
    wait_until("it is refused", lambda: "this machine" in router.http.get("/health").text, 20)
    assert (there.authority.seen(), offered(router)) == ([], None)


def login(home: Path, config: dict, *args: str) -> tuple[subprocess.Popen, str]:
    """`mcp-router login far`, and the address that it tells."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "router.yaml").write_text(json.dumps(config))
    command = [BINARY, "login", "far", "--config", home / "router.yaml", *args]
    process = subprocess.Popen(command, env=clean_environment(home), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("http://"):
            return process, line.strip()
    raise AssertionError("it tells no address")


def test_login_at_a_terminal(start: Callable[..., Router], world: Callable[..., World], tmp_path: Path) -> None:
    there = world()
    process, url = login(tmp_path / "terminal", there.config(), "--listen", "127.0.0.1:0")
    assert browse(url).status_code == 200
    rest = process.stderr.read()
    assert (process.wait(20), rest.splitlines()[-1]) == (0, "signed in to far")
    router = start(there.config())
    ready(router)
    # Again, while the router runs: it takes back who was sent away.
    process, url = login(tmp_path / "terminal", there.config(), "--listen", urlsplit(router.url).netloc)
    assert url.count(str(urlsplit(router.url).port)) == 1
    assert browse(url).status_code == 200
    assert process.wait(20) == 0
    process.stderr.close()
    home = tmp_path / "terminal"
    command = [BINARY, "logout", "far", "--config", home / "router.yaml"]
    done = subprocess.run(command, env=clean_environment(home), capture_output=True, text=True, timeout=30)
    # This authority takes back what renews tokens; a token that is signed is good until it ends.
    issuer = there.authority.url
    unrevoked = f"but {issuer} does not take the access_token back: unsupported_token_type: what was made out may be good there until it ends"
    assert (done.returncode, done.stderr) == (0, f"signed out of far, {unrevoked}\n")
    assert there.asked("POST /token/revocation") == 2
