"""Kept answers of MCP servers from outside: in memory, in a Redis that two routers share, and how both forget."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import notes_in
from processes import wait_until
from redis_server import Redis
from router import Router, run

KEYS = {"alice": "alice-key-0123456789", "bob": "bob-key-0123456789"}


class Notes:
    """A server's folder, and routers in front of servers that share it."""

    def __init__(self, start: Callable[..., Router], folder: Path):
        self.start, self.folder = start, folder

    def router(self, pace: float = 0, cache: dict | None = None, **more) -> Router:
        router = self.start({"mcpServers": {"notes": {**notes_in(self.folder, pace), "cache": cache or {}}}, **more})
        if "keys" not in more:
            router.wait_for_tools("notes__list_notes")
        return router

    def readings(self) -> int:
        path = self.folder / "readings"
        return len(path.read_text().split()) if path.exists() else 0


@pytest.fixture
def notes(start: Callable[..., Router], tmp_path: Path) -> Notes:
    return Notes(start, tmp_path)


def read(router: Router, tool: str = "list_notes", **arguments) -> tuple[str, str]:
    """What is said, and what the cache had to do with it; what the server itself says now bears no mark."""
    result = router.call(f"notes__{tool}", arguments)["result"]
    return result["content"][0]["text"], result["_meta"].get("mcp-router/cache", "miss")


def test_two_routers_share_what_a_server_said(notes: Notes, redis: Redis) -> None:
    one, other = (notes.router(redis=redis.address) for _ in range(2))
    assert read(one, "count_words", text="a b c") == ("3", "miss")
    wait_until("the answer is there", lambda: redis.keys("mcp:*"))
    assert read(other, "count_words", text="a b c") == ("3", "hit")
    assert notes.readings() == 1
    assert other.metric("mcp_cache_shared_hits_total", server="notes") == 1
    assert read(other, "count_words", text="a b c") == ("3", "hit"), "from its own memory"
    assert other.metric("mcp_cache_shared_hits_total", server="notes") == 1
    key, = redis.keys("mcp:*")
    assert key.startswith("mcp:tenant.anonymous:notes:count_words:")


def test_a_hundred_cold_readings_on_two_routers_are_one(notes: Notes, redis: Redis) -> None:
    routers = [notes.router(pace=0.5, redis=redis.address) for _ in range(2)]
    with ThreadPoolExecutor(100) as pool:
        told = list(pool.map(lambda number: read(routers[number % 2]), range(100)))
    assert {text for text, _ in told} == {""}
    assert notes.readings() == 1


def test_one_caller_is_never_told_what_another_heard(notes: Notes, redis: Redis) -> None:
    keys = [{"name": name, "key": key} for name, key in KEYS.items()]
    routers = [notes.router(redis=redis.address, keys=keys) for _ in range(2)]
    for name in KEYS:
        for router in routers:
            router.http.headers["authorization"] = f"Bearer {KEYS[name]}"
            router.wait_for_tools("notes__list_notes")
            read(router)
            wait_until("what was said is there", lambda: redis.keys(f"mcp:tenant.{name}:*"))
    assert notes.readings() == 2


def test_what_was_written_is_read(notes: Notes, redis: Redis) -> None:
    cache = {"invalidates": {"add_*": ["list_*"]}}
    one, other = (notes.router(cache=cache, redis=redis.address) for _ in range(2))
    for router in (one, other):
        assert read(router)[0] == ""
        assert read(router, "count_words", text="a") [0] == "1"
    assert one.call("notes__add_note", {"text": "milk"})["result"]["content"][0]["text"] == "added"
    assert read(one) == ("milk\n", "miss"), "at once where it was written"
    wait_until("the other router knows", lambda: read(other)[0] == "milk\n", 5)
    assert read(other, "count_words", text="a") == ("1", "hit"), "only what it is said to change"


def test_a_purge_reaches_every_router(notes: Notes, redis: Redis, tmp_path: Path) -> None:
    one, other = (notes.router(redis=redis.address) for _ in range(2))

    def forgotten(*said: str) -> list[str]:
        for router in (one, other):
            read(router), read(router, "count_words", text="a")
        port = one.url.rpartition(":")[2]
        done = run(one.home, "cache", "purge", *said, "--listen", f"127.0.0.1:{port}", "--config", str(one.config))
        assert (done.returncode, done.stdout) == (0, "forgotten\n"), done.stderr
        before, seen, quiet_since = notes.readings(), 0, time.monotonic()
        while time.monotonic() - quiet_since < 1:
            read(other), read(other, "count_words", text="a")
            if notes.readings() != seen:
                seen, quiet_since = notes.readings(), time.monotonic()
            time.sleep(0.05)
        return sorted((notes.folder / "readings").read_text().split()[before:])

    assert forgotten() == ["count_words", "list_notes"]
    assert forgotten("--server", "notes", "--tool", "list_*") == ["list_notes"]
    assert forgotten("--tool", "count_words") == ["count_words"]
    assert forgotten("--scope", "anonymous") == ["count_words", "list_notes"]
    assert forgotten("--scope", "somebody") == []
    unknown = run(one.home, "cache", "purge", "--server", "nots", "--listen", one.url.removeprefix("http://"), "--config", str(one.config))
    assert unknown.returncode == 1 and "there is no MCP server" in unknown.stderr


def test_an_old_answer_is_given_while_it_is_renewed(notes: Notes) -> None:
    router = notes.router(cache={"fresh": "100ms", "revalidate": "1h"})
    read(router)
    (notes.folder / "notes").write_text("bread\n")
    time.sleep(0.2)
    assert read(router) == ("", "stale")
    wait_until("it is renewed", lambda: read(router)[0] == "bread\n")


def damage(redis: Redis) -> None:
    for key in redis.keys("mcp:*"):
        redis.ask("SET", key, b"\x00garbage\xff" * 20)


# What happens to a Redis, and how it is undone.
OUTAGES: dict[str, tuple[Callable[[Redis], object], Callable[[Redis], object]]] = {
    "killed": (Redis.kill, Redis.start),
    "stopped": (lambda redis: redis.process.send_signal(signal.SIGSTOP), lambda redis: redis.process.send_signal(signal.SIGCONT)),
    "read-only": (lambda redis: redis.ask("REPLICAOF", "127.0.0.1", "9"), lambda redis: redis.ask("REPLICAOF", "NO", "ONE")),
    "full": (lambda redis: redis.ask("CONFIG", "SET", "maxmemory", "1"), lambda redis: redis.ask("CONFIG", "SET", "maxmemory", "0")),
    "full of garbage": (damage, damage),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_no_reading_fails_when_the_redis_does(notes: Notes, redis: Redis, outage: str) -> None:
    router = notes.router(cache={"fresh": "1h", "max_entries": 1000, "tools": ["count_words"]}, redis=redis.address)
    assert read(router, "count_words", text="before") == ("1", "miss")
    wait_until("the answer is there", lambda: redis.keys("mcp:*"))
    begin, end = OUTAGES[outage]

    def seconds_for(when: str) -> float:
        began = time.monotonic()
        for number in range(60):
            assert read(router, "count_words", text=f"{when} {number}") == ("2", "miss")
        return time.monotonic() - began

    usual = seconds_for("before")
    begin(redis)
    # Each of them waiting twice for 50 ms would be six seconds.
    assert seconds_for("during") < 2 * usual + 2, "nobody waits for it again and again"
    assert read(router, "count_words", text="before") == ("1", "hit"), "from the memory of the process"
    lines = [line for line in router.log_text().splitlines() if "edis" in line]
    assert len(lines) <= 10, lines
    end(redis)
    if outage == "full of garbage":
        other = notes.router(cache={"tools": ["count_words"]}, redis=redis.address)
        assert read(other, "count_words", text="before") == ("1", "miss"), "garbage is no answer"
        return

    def shared() -> bool:
        before = len(redis.keys("mcp:*"))
        read(router, "count_words", text=f"after {time.monotonic()}")
        time.sleep(0.1)
        return len(redis.keys("mcp:*")) > before

    wait_until("it is used again", shared, 10)


def test_a_redis_that_is_away_at_the_start_is_no_obstacle(notes: Notes) -> None:
    router = notes.router(redis="redis://127.0.0.1:9")
    assert [read(router)[1] for _ in range(2)] == ["miss", "hit"]
