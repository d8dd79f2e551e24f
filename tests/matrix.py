"""What each client of the matrix does with each server, told the same way whatever the client.

A plan is a list of rows: `path`, and what to do there: `call`, `error`, `progress`, `cancel`, `asks`, each `[tool, arguments]`
or nothing where that server has no such tool.
"""

import asyncio

import mcp_types as types
from fastmcp import Client as FastClient
from mcp import Client, MCPError

# How long a call is let run before it is cancelled.
PATIENCE_SECONDS = 0.7
NAME = {"name": "Ann"}


def text_of(result) -> str:
    return "".join(getattr(block, "text", "") for block in result.content)


class Python:
    """The official client of the second generation, in the era that `mode` names."""

    def __init__(self, url: str, mode: str):
        async def answer(context, params) -> types.ElicitResult:
            return types.ElicitResult(action="accept", content=NAME)

        self.client = Client(url, mode=mode, read_timeout_seconds=70, elicitation_callback=answer)

    async def tools(self) -> list[str]:
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, tool: str, arguments: dict, ticks: list | None = None) -> tuple[bool, str]:
        async def tick(progress: float, total: float | None, message: str | None) -> None:
            ticks.append(progress)

        try:
            result = await self.client.call_tool(tool, arguments, progress_callback=None if ticks is None else tick)
        except MCPError as error:
            return True, str(error)
        return result.is_error is True, text_of(result)


class Fast:
    """FastMCP's client, which greets in the era that it finds."""

    def __init__(self, url: str, mode: str):
        async def answer(message, response_type, params, context):
            return NAME

        self.client = FastClient(url, mode=mode, timeout=70, elicitation_handler=answer)

    async def tools(self) -> list[str]:
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, tool: str, arguments: dict, ticks: list | None = None) -> tuple[bool, str]:
        async def tick(progress: float, total: float | None, message: str | None) -> None:
            ticks.append(progress)

        try:
            result = await self.client.call_tool(tool, arguments, raise_on_error=False, progress_handler=None if ticks is None else tick)
        except MCPError as error:
            return True, str(error)
        return result.is_error, text_of(result)


async def visit(client, row: dict) -> dict:
    found: dict = {"tools": await client.tools()}
    found["call"] = await client.call(*row["call"])
    found["error"] = await client.call(*row["error"])
    if row["progress"]:
        ticks: list[float] = []
        found["progress"] = [*await client.call(*row["progress"], ticks=ticks), ticks]
    if row["cancel"]:
        call = asyncio.create_task(client.call(*row["cancel"]))
        await asyncio.sleep(PATIENCE_SECONDS)
        call.cancel()
        found["cancel"] = (await asyncio.gather(call, return_exceptions=True))[0].__class__.__name__
        found["after"] = await client.call(*row["call"])
    if row["asks"]:
        found["asks"] = await client.call(*row["asks"])
    return found


async def _visit_all(url: str, kind: type, mode: str, plan: list[dict]) -> list[dict]:
    async def one(row: dict) -> dict:
        client = kind(url + row["path"], mode)
        async with client.client:
            return await visit(client, row)

    return await asyncio.gather(*(one(row) for row in plan))


def visit_all(url: str, kind: type, mode: str, plan: list[dict]) -> list[dict]:
    """Every row of the plan, beside one another."""
    return asyncio.run(asyncio.wait_for(_visit_all(url, kind, mode, plan), 120))
