"""While a server is away: who answers in its place, in which order, and how that is told."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import FAULTY, notes_in
from processes import wait_until
from router import Router, run

GUIDE = "# Deploying\n\nNever on Fridays.\n\n# Rollback\n\nA rollback needs two people.\n"


def notes(folder: Path, pace: float = 0, **more) -> dict:
    return {**notes_in(folder, pace), **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes").write_text("milk\n")
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide/deploy.md").write_text(GUIDE)
    return tmp_path


def told(router: Router, tool: str = "list_notes", server: str = "main", **arguments) -> tuple[str, str]:
    """What is said, and where it is from; an error is told by its kind."""
    result = router.call(f"{server}__{tool}", arguments)["result"]
    meta = result.get("_meta", {})
    if result.get("isError"):
        return "", "error " + meta["mcp-router/error"]["kind"]
    text = result["content"][0]["text"] if result["content"] else ""
    return text, " ".join(filter(None, [meta.get("mcp-router/source", "live"), meta.get("mcp-router/cache")]))


def away(router: Router, *servers: str) -> None:
    """Stops servers as an operator does; their calls fail until they are started again."""
    for server in servers:
        port = router.url.rpartition(":")[2]
        stopped = run(router.home, "servers", "stop", server, "--listen", f"127.0.0.1:{port}", "--config", str(router.config))
        assert stopped.returncode == 0, stopped.stderr
    wait_until("they are away", lambda: all(component(router, server)["status"] == "unhealthy" for server in servers))


def component(router: Router, name: str) -> dict:
    return next(found for found in router.http.get("/health").json()["components"] if found["name"] == name)


def test_the_order_is_the_configurations_own(start: Callable[..., Router], folder: Path) -> None:
    stale, backup, other = "stale", {"backup": str(folder / "guide")}, {"server": "spare"}
    table = [
        ([stale, other], ("milk\n", "cache stale")),
        ([other, stale], ("spare\n", "backup")),
        ([{"default": "Nothing."}, stale], ("Nothing.", "default")),
        (["skip", stale], ("main is away at the moment, and was left out: go on without it.", "default")),
        ([backup, other], ("spare\n", "backup")),
        ([], ("", "error unavailable")),
    ]
    spare = folder / "spare"
    spare.mkdir()
    (spare / "notes").write_text("spare\n")
    for sources, expected in table:
        router = start({"mcpServers": {
            "main": notes(folder, cache={"fresh": "1ms", "stale": "1h"}, on_error=sources),
            "spare": notes(spare),
        }})
        router.wait_for_tools("main__list_notes", "spare__list_notes")
        assert told(router) == ("milk\n", "live")
        away(router, "main")
        assert told(router) == expected, sources
        strategies = {"cache stale": "stale", "backup": "upstream", "default": "skip" if sources[:1] == ["skip"] else "default"}
        if expected[1] in strategies:
            assert router.metric("mcp_fallbacks_total", server="main", strategy=strategies[expected[1]]) == 1


def test_a_backup_is_searched_by_what_was_asked(start: Callable[..., Router], folder: Path) -> None:
    about = notes(folder, cache={"tools": ["none"]}, on_error=["backup", "default"], backup=str(folder / "guide"), default="Ask later.")
    router = start({"mcpServers": {"main": about}})
    router.wait_for_tools("main__count_words")
    away(router, "main")
    assert told(router, "count_words", text="rollback people") == ("deploy.md:\nA rollback needs two people.\n\ndeploy.md:\n# Rollback", "backup")
    assert told(router, "count_words", text="holidays") == ("Ask later.", "default")


def test_who_is_too_slow_is_another_matter(start: Callable[..., Router], folder: Path) -> None:
    about = notes(folder, pace=3, timeout="300ms", cache={"tools": ["none"]}, on_timeout="skip", on_error={"default": "It is down."})
    router = start({"mcpServers": {"main": about}})
    router.wait_for_tools("main__list_notes")
    assert told(router) == ("main is away at the moment, and was left out: go on without it.", "default")
    away(router, "main")
    assert told(router) == ("It is down.", "default")


def test_old_answers_have_an_end(start: Callable[..., Router], folder: Path) -> None:
    about = notes(folder, cache={"fresh": "1ms"}, on_error=["stale", "skip"], stale_max_age="2s")
    router = start({"mcpServers": {"main": about}})
    router.wait_for_tools("main__list_notes")
    began = time.monotonic()
    assert told(router) == ("milk\n", "live")
    away(router, "main")
    if time.monotonic() - began < 1.5:
        assert told(router) == ("milk\n", "cache stale")
    time.sleep(2)
    assert told(router)[1] == "default"


def test_health_is_degraded_until_the_server_answers_itself(start: Callable[..., Router], folder: Path) -> None:
    about = {**FAULTY, "on_error": {"default": "Later."}, "breaker": {"failures": 50}}
    router = start({"mcpServers": {"main": about}})
    router.wait_for_tools("main__echo")
    assert component(router, "main")["status"] == "healthy"
    assert told(router, "die") == ("Later.", "default")
    wait_until("it is up again", lambda: component(router, "main")["metadata"]["state"] == "ready")
    found = component(router, "main")
    assert found["status"] == "degraded" and found["message"].startswith("answered by default "), found
    assert found["metadata"]["breaker"]["stood_in"] == "default"
    assert router.http.get("/health").json()["status"] == "degraded"
    assert told(router, "echo", text="here") == ("here", "live")
    assert component(router, "main")["status"] == "healthy"


def test_an_answer_says_in_the_words_of_caches_where_it_is_from(start: Callable[..., Router], folder: Path) -> None:
    router = start({"mcpServers": {"main": notes(folder, cache={"fresh": "1h"})}})
    router.wait_for_tools("main__list_notes")
    found = [router.rpc_response("tools/call", {"name": "main__list_notes"}).headers["cache-status"] for _ in range(2)]
    assert found == ["mcp-router; fwd=miss", "mcp-router; hit"]
