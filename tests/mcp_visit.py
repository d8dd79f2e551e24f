"""What a visit to an MCP endpoint finds, by the official Python client: the twin of js/visit.mjs."""

import asyncio

from mcp import Client, MCPError, StdioServerParameters


async def _visit(server: str | StdioServerParameters, mode: str, plan: dict) -> dict:
    async with Client(server, mode=mode, read_timeout_seconds=30) as client:
        found: dict = {"version": client.protocol_version, "results": []}
        found["tools"] = await _tools(client, plan)
        for call in plan["calls"]:
            try:
                result = await client.call_tool(call["name"], call["arguments"])
                text = "".join(getattr(block, "text", "") for block in result.content)
                found["results"].append({"text": text, "failed": result.is_error is True})
            except MCPError as error:
                found["results"].append({"text": str(error), "failed": True})
        if ending := plan.get("resource"):
            found["resource"] = (await client.read_resource(await _uri(client, ending))).contents[0].text
        if name := plan.get("prompt"):
            found["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
            found["prompt"] = (await client.get_prompt(name)).messages[0].content.text
        return found


async def _tools(client: Client, plan: dict) -> list[str]:
    """Lists the tools; again, where one is missing that the plan calls, as servers may still be starting."""
    called = {call["name"] for call in plan["calls"] if not call["name"].endswith("no-such-tool")}
    for _ in range(30):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        if called <= set(tools):
            break
        await asyncio.sleep(1)
    return tools


async def _uri(client: Client, ending: str) -> str:
    """The resource whose URI ends so; looked for again, as servers may still be starting."""
    for _ in range(30):
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        if found := next((uri for uri in uris if uri.endswith(ending)), None):
            return found
        await asyncio.sleep(1)
    raise AssertionError(f"no resource ends with {ending}: {uris}")


def visit(server: str | StdioServerParameters, mode: str, plan: dict) -> dict:
    """`mode` is `legacy` (initialize), `auto` (asks first), or a modern revision."""
    return asyncio.run(asyncio.wait_for(_visit(server, mode, plan), 70))
