"""The official conformance suites, through the router: each revision in front, each era behind, over HTTP and a pipe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import NODE
from router import BINARY, Router
from suites import FINAL, FIXTURE, FOLDER, NEXT, Fixture, beyond, clients, required, run, run_clients

pytestmark = pytest.mark.timeout(240)

LEGACY, MODERN = "2025-11-25", "2026-07-28"

# What the router still has to learn: it fails exactly so, and a scenario that passes has to be taken off.
# A legacy server's question has no key that could be expected; over HTTP it does not ask all at once.
UNKEYED = {"input-required-result-basic-elicitation"}
ONE_BY_ONE = {"input-required-result-multiple-input-requests"}
# One that may not ask one thing may fail before its other question is here.
HASTY = {"input-required-result-capability-check"}
# Whether a legacy server's questions come together is a matter of milliseconds.
TIMED = ONE_BY_ONE | HASTY


@pytest.fixture(scope="module")
def fixture() -> Iterator[Fixture]:
    served = Fixture()
    yield served
    served.close()


def behind(fixture: Fixture, transport: str, protocol: str) -> dict:
    """The fixture as a server of the configuration."""
    reach = {"url": fixture.url} if transport == "http" else {"command": str(NODE), "args": [FIXTURE, "stdio"]}
    return {"mcpServers": {"fixture": {**reach, "protocol": protocol, "roots": ["."]}}}


@pytest.fixture
def judge(start: Callable[..., Router], fixture: Fixture, tmp_path: Path) -> Callable[..., dict]:
    """Puts a router before the fixture, and runs a suite against the router."""

    def judge_one(suite: str, transport: str, protocol: str, *args: str) -> dict[str, list[str]]:
        router = start(behind(fixture, transport, protocol))
        assert "test_simple_text" in router.tools("/mcp/fixture")
        return run(suite, tmp_path / "checks", "server", "--url", f"{router.url}/mcp/fixture", *args)

    return judge_one


def failed(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {scenario: checks for scenario, checks in found.items() if checks}


def test_the_fixture_itself_passes(fixture, tmp_path):
    released = run(FINAL, tmp_path / "released", "server", "--url", fixture.url, "--suite", "all")
    assert (len(released), failed(released)) == (32, {})
    for revision in (LEGACY, MODERN):
        found = run(NEXT, tmp_path / revision, "server", "--url", fixture.url, "--requirements", revision)
        extensions = beyond(revision, "server", "extension")
        assert failed({scenario: checks for scenario, checks in found.items() if scenario not in extensions}) == {}


@pytest.mark.parametrize(("transport", "protocol"), [("http", "auto"), ("http", "legacy"), ("stdio", "legacy"), ("stdio", "modern")])
def test_the_released_suite(judge, transport, protocol):
    found = judge(FINAL, transport, protocol, "--suite", "all")
    assert len(found) == 32
    assert set(failed(found)) == set(), failed(found)


@pytest.mark.parametrize(
    ("revision", "transport", "protocol", "open_still"),
    [
        (LEGACY, "http", "legacy", set()),
        (LEGACY, "http", "modern", set()),
        (LEGACY, "stdio", "legacy", set()),
        (LEGACY, "stdio", "modern", set()),
        (MODERN, "http", "modern", set()),
        (MODERN, "http", "legacy", UNKEYED | TIMED),
        (MODERN, "stdio", "modern", set()),
        (MODERN, "stdio", "legacy", UNKEYED | HASTY),
    ],
)
def test_what_a_revision_requires(judge, revision, transport, protocol, open_still):
    found = judge(NEXT, transport, protocol, "--requirements", revision)
    wanted = required(revision, "server")
    assert len(wanted) == {LEGACY: 30, MODERN: 37}[revision]
    scored = wanted | beyond(revision, "server", "pending", "added-after-release")
    assert scored <= set(found)
    assert open_still - TIMED <= set(failed(found)) & scored <= open_still, failed(found)


# An extension in which a company's identity provider hands its people's assertions to the client: a gateway has none.
ASSERTED = {"auth/cross-app-access-complete-flow"}
# Each scenario starts a suite, a router and a client, in seconds; on a busy machine on which much else is tested, too.
SLOW = 900


def judged(suite: str, scenarios: set[str], folder: Path, era: str, *args: str) -> dict[str, list[str]]:
    """The suite serves, and judges what the router asks it for a client of either era."""
    command = f"{NODE} {FOLDER / 'driver.mjs'} {era} {folder}"
    found = run_clients(suite, scenarios, folder / "checks", command, *args, env={"MCP_ROUTER_BIN": str(BINARY)})
    assert set(found) == scenarios
    return found


@pytest.mark.timeout(SLOW)
@pytest.mark.parametrize("revision", [LEGACY, MODERN])
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_what_a_revision_requires_of_a_client(tmp_path, revision, era):
    wanted = required(revision, "client")
    assert len(wanted) == {LEGACY: 18, MODERN: 32}[revision]
    scenarios = wanted | beyond(revision, "client", "added-after-release")
    if era != {LEGACY: "legacy", MODERN: "modern"}[revision]:
        # How the router signs in does not depend on who calls it.
        scenarios = {scenario for scenario in scenarios if not scenario.startswith("auth/")}
    found = judged(NEXT, scenarios, tmp_path, era, "--spec-version", revision)
    assert failed(found) == {}


@pytest.mark.timeout(SLOW)
def test_the_released_suite_of_a_client(tmp_path):
    scenarios = clients(FINAL)
    assert len(scenarios) == 26
    found = judged(FINAL, scenarios - ASSERTED, tmp_path, "legacy")
    assert failed(found) == {}


@pytest.mark.timeout(SLOW)
def test_signing_in_beyond_what_is_required(tmp_path):
    """An extension, in which the router proves itself by its own secret or key; and the servers of March 2025."""
    found = judged(NEXT, {"auth/client-credentials-basic", "auth/client-credentials-jwt"}, tmp_path, "modern")
    march = {scenario for scenario in clients(NEXT) if scenario.startswith("auth/2025-03-26-")}
    assert len(march) == 2
    found |= judged(NEXT, march, tmp_path, "legacy", "--spec-version", "2025-03-26")
    assert failed(found) == {}


@pytest.mark.parametrize(("transport", "protocol"), [("http", "modern"), ("http", "legacy"), ("stdio", "modern")])
def test_an_app_is_offered_through_the_router(start, fixture, transport, protocol):
    """MCP Apps: the extension, the tool that names its page, and the page. An extension of which nothing is known is offered by its server alone."""
    router = start(behind(fixture, transport, protocol))
    for path, prefix in [("/mcp/fixture", ""), ("/mcp", "fixture__")]:
        listed = router.rpc("tools/list", path=path)["result"]["tools"]
        app = next(tool for tool in listed if tool["name"] == f"{prefix}test_app")
        assert app["_meta"]["ui"] == {"resourceUri": "ui://fixture/clock"}
        told = router.rpc("server/discover", path=path)["result"]["capabilities"]
        assert told["extensions"] == {"io.modelcontextprotocol/ui": {}, "org.example/unknown": {}}
        page = router.rpc("resources/read", {"uri": "ui://fixture/clock"}, path)["result"]["contents"][0]
        assert page["mimeType"] == "text/html;profile=mcp-app" and "Clock" in page["text"]
