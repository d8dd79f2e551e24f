"""An MCP server by FastMCP, over stdio, or over HTTP at a port: fast.py [PORT]. Tools: add, fail, slow (tells progress), ask."""

import asyncio
import sys

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError

server = FastMCP("fast")


@server.tool
def add(a: int, b: int) -> str:
    return f"{a + b}"


@server.tool
def fail() -> str:
    raise ToolError("it went wrong")


@server.tool
async def slow(ctx: Context, steps: int = 2, pause: float = 0.05) -> str:
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        await asyncio.sleep(pause)
    return "slowly"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, log_level="ERROR")
    else:
        server.run(show_banner=False, log_level="ERROR")
