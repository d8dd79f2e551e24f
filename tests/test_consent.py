"""Servers where each caller signs in for himself: the address that he is sent to, and whose token comes of it."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from processes import wait_until
from programs import NODE, TESTS, Program
from router import Router, failure
from signing_in import World, asked_for, browse, sent_on

KEYS = {name: f"{name}-key-0123456789abcdef" for name in ("alice", "bob", "root")}

# The official SDKs, and the era that each speaks.
CLIENTS = {
    "first generation": {"generation": 1, "mode": "legacy"},
    "second generation, legacy": {"generation": 2, "mode": "legacy"},
    "second generation, modern": {"generation": 2, "mode": {"pin": "2026-07-28"}},
}


class Scene:
    """A router before a server that wants each caller's own token, and its callers."""

    def __init__(self, there: World, router: Router):
        self.there, self.router = there, router
        self.programs: list[Program] = []

    def caller(self, name: str, **client) -> Program:
        argument = json.dumps({"url": f"{self.router.url}/mcp/far", "key": KEYS[name], **client})
        self.programs.append(Program(NODE, TESTS / "js/consent.mjs", argument))
        return self.programs[-1]

    def rpc(self, name: str, tool: str = "read") -> dict:
        self.router.http.headers["authorization"] = f"Bearer {KEYS[name]}"
        return self.router.rpc("tools/call", {"name": tool, "arguments": {}}, path="/mcp/far")

    def is_let_in(self, name: str) -> bool:
        return self.rpc(name).get("result", {}).get("isError") is not True

    def sign_in(self, name: str) -> None:
        assert browse(address(self.rpc(name))).status_code == 200
        wait_until(f"{name} is let in", lambda: self.is_let_in(name), 20)


@pytest.fixture
def scene(start: Callable[..., Router], world: Callable[..., World]) -> Iterator[Scene]:
    there = world()
    keys = [{"name": name, "key": key, "admin": name == "root"} for name, key in KEYS.items()]
    made = Scene(there, start({**there.config(per="caller"), "keys": keys}))
    yield made
    for program in made.programs:
        program.close()


def after_visit(caller: Program) -> dict:
    """What comes of a call once somebody was where it sent him."""
    told = caller.ask(visited=True)
    # A moment may pass until the router is let in.
    for _ in range(20):
        if "visit" not in told:
            return told
        told = caller.ask(visited=True)
    return told


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_each_caller_signs_in_for_himself(scene: Scene, client: dict) -> None:
    alice, bob = scene.caller("alice", **client), scene.caller("bob", **client)
    told = alice.ask(call="read")
    assert told["message"] == "you have not signed in to far yet"
    page = httpx.get(told["visit"])
    assert "The caller <b>alice</b>" in page.text and f"({scene.there.server.url}/mcp)" in page.text
    assert page.headers["x-frame-options"] == "DENY" and "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert asked_for(told["visit"], "resource") == f"{scene.there.server.url}/mcp"
    assert browse(told["visit"]).status_code == 200
    assert after_visit(alice) == {"text": "read", "failed": False}
    [token] = set(scene.there.shown())

    # What alice got is not bob's.
    sent = bob.ask(call="read")
    assert "The caller <b>bob</b>" in httpx.get(sent["visit"]).text and sent["visit"] != told["visit"]
    assert set(scene.there.shown()) == {token}
    assert browse(sent["visit"]).status_code == 200
    assert after_visit(bob) == {"text": "read", "failed": False}
    assert len(set(scene.there.shown())) == 2
    assert alice.ask(call="read") == {"text": "read", "failed": False}


def address(reply: dict) -> str:
    """Where a client is sent that cannot send anybody himself: it stands in words."""
    words = failure(reply)
    assert "you have not signed in to far yet (open http://" in words
    return words.split("(open ")[1].split(",")[0]


def test_an_address_that_is_passed_on_plants_no_token(scene: Scene) -> None:
    # T-09: alice agrees herself, and sends bob straight to the authorization server.
    start = address(scene.rpc("alice"))
    ended = browse(sent_on(start))
    assert (ended.status_code, "was not begun in this browser" in ended.text) == (400, True)
    assert scene.there.asked("POST /token") == 0
    # A page of somebody else presses the button for its visitor.
    start = address(scene.rpc("alice"))
    for headers, status in [({"origin": "https://evil.example"}, 403), ({"sec-fetch-site": "cross-site"}, 400)]:
        assert httpx.post(start, headers=headers).status_code == status
    assert browse(start).status_code == 200
    # An address is good for one sign-in.
    again = httpx.get(start)
    assert (again.status_code, "no sign-in waits for this" in again.text) == (400, True)
    assert httpx.post(start).status_code == 400
    wait_until("alice is let in", lambda: scene.is_let_in("alice"), 20)
    assert "you have not signed in" in failure(scene.rpc("bob"))
    # It is his alone: nobody finds it in the log.
    assert urlsplit(start).query not in scene.router.log_text()


def test_a_caller_is_signed_out_alone(scene: Scene) -> None:
    scene.sign_in("alice")
    scene.sign_in("bob")

    def logout(caller: str, key: str = "root") -> httpx.Response:
        headers = {"authorization": f"Bearer {KEYS[key]}"}
        return httpx.post(f"{scene.router.url}/admin/servers/far/logout", params={"caller": caller}, headers=headers)

    assert [logout("alice", key="bob").status_code, logout("nobody").status_code] == [403, 404]
    [ended] = logout("alice").json()["signed_out"]
    # The one that renews is taken back; a signed one is good until it ends, and that is told.
    assert ended["caller"] == "alice" and ended["problem"].endswith("access_token back: unsupported_token_type")
    assert scene.there.asked("POST /token/revocation") == 2
    assert "you have not signed in to far yet" in failure(scene.rpc("alice"))
    assert scene.is_let_in("bob")
    assert logout("alice").json() == {"signed_out": []}
