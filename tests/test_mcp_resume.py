"""Connections of legacy clients that break in the middle of a call: the official clients come back, and hear the rest."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mcp import Client

from cutting import Cutting
from person import Person
from router import Router

ASKING = str(Path(__file__).parent / "servers/asking.py")


@pytest.fixture
def cut(start: Callable[..., Router]) -> Iterator[Callable[[str], Cutting]]:
    """The way to a router before a server that asks; the first connection that brings this word is cut behind it."""
    ways = []

    def cut_one(word: str) -> Cutting:
        router = start({"mcpServers": {"a": {"command": sys.executable, "args": [ASKING], "protocol": "legacy"}}})
        router.wait_for_tools("a__slow", seconds=60)
        ways.append(Cutting(router.url, word.encode()))
        return ways[-1]

    yield cut_one
    for way in ways:
        way.close()


# Before the question is asked; with the question; with the answer, which the client may or may not have read.
@pytest.mark.parametrize("word", ["step 1", "who?", "step 2"])
def test_python(cut, word):
    way, person = cut(word), Person()

    async def call() -> str:
        async with Client(f"{way.url}/mcp/a", mode="legacy", read_timeout_seconds=30, **person.manner()) as client:
            result = await client.call_tool("slow", {}, progress_callback=person.tick)
            return result.content[0].text

    said = asyncio.run(asyncio.wait_for(call(), 60))
    assert (said, person.asked, way.cuts) == ("N1", ["who?"], 1)
    assert person.progress == [1, 2] and person.logs == ["step 1", "step 2"]


@pytest.mark.parametrize("word", ["step 1", "who?"])
def test_javascript(cut, javascript, word):
    way = cut(word)
    found = javascript(
        "mcp_asked.mjs", url=f"{way.url}/mcp/a", generation=1, calls=["slow"], capabilities={"elicitation": {}},
        answers={"elicitation": {"action": "accept", "content": {"name": "Bob"}}},
    )
    assert found == {"results": [{"text": "Bob", "failed": False}], "asked": ["elicitation/create"]}
    assert way.cuts == 1
