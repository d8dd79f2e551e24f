"""The official conformance suites, through the router: each revision in front, each era behind, over HTTP and a pipe."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import NODE
from router import Router
from suites import FINAL, FIXTURE, NEXT, Fixture, beyond, required, run

pytestmark = pytest.mark.timeout(240)

LEGACY, MODERN = "2025-11-25", "2026-07-28"

# What the router still has to learn: it fails exactly so, and a scenario that passes has to be taken off.
WATCHING = {"resources-subscribe", "resources-unsubscribe"}
# A legacy server's question has no key that could be expected; over HTTP it does not ask all at once.
UNKEYED = {"input-required-result-basic-elicitation"}
ONE_BY_ONE = {"input-required-result-multiple-input-requests"}
HEADERS = {"http-custom-header-server-validation"}
STATELESS = {"server-stateless"}


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


@pytest.mark.parametrize(
    ("transport", "protocol", "open_still"),
    [("http", "auto", WATCHING), ("http", "legacy", WATCHING), ("stdio", "legacy", WATCHING), ("stdio", "modern", WATCHING)],
)
def test_the_released_suite(judge, transport, protocol, open_still):
    found = judge(FINAL, transport, protocol, "--suite", "all")
    assert len(found) == 32
    assert set(failed(found)) == open_still, failed(found)


@pytest.mark.parametrize(
    ("revision", "transport", "protocol", "open_still"),
    [
        (LEGACY, "http", "legacy", WATCHING),
        (LEGACY, "http", "modern", WATCHING),
        (LEGACY, "stdio", "legacy", WATCHING),
        (LEGACY, "stdio", "modern", WATCHING),
        (MODERN, "http", "modern", STATELESS | HEADERS),
        (MODERN, "http", "legacy", STATELESS | UNKEYED | ONE_BY_ONE),
        (MODERN, "stdio", "modern", STATELESS),
        (MODERN, "stdio", "legacy", STATELESS | UNKEYED),
    ],
)
def test_what_a_revision_requires(judge, revision, transport, protocol, open_still):
    found = judge(NEXT, transport, protocol, "--requirements", revision)
    wanted = required(revision, "server")
    assert len(wanted) == {LEGACY: 30, MODERN: 37}[revision]
    scored = wanted | beyond(revision, "server", "pending", "added-after-release")
    assert scored <= set(found)
    assert set(failed(found)) & scored == open_still, failed(found)
