"""An MCP server that asks its client, by the official SDK: in a legacy session at once, to a modern client in its answers.

    asking.py [PORT [sse]]

Over stdio, or over HTTP at PORT: at /mcp, or in the manner of 2024-11-05 at /sse. Tools: name, think, where, both (two questions at once), rounds (one after the other),
slow (tells log lines and progress before and after it asks), visit (refuses until an address was
visited, which it takes for done the second time), cancelled (how many calls were given up: their clients took them
back, or went away before they answered).
"""

import asyncio
import json
import sys

import anyio
import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

TOOLS = ("name", "think", "where", "both", "rounds", "slow", "visit", "cancelled")
MODERN = "2026-07-28"
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
given_up = 0
visited = []


def form(message: str) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=SCHEMA))


def sample(text: str) -> types.CreateMessageRequest:
    said = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[said], max_tokens=10))


RESULTS = {"elicitation/create": types.ElicitResult, "sampling/createMessage": types.CreateMessageResult, "roots/list": types.ListRootsResult}


class Wanted(Exception):
    """What a modern client has to bring with his next request."""

    def __init__(self, requests: dict, state: str):
        self.result = types.InputRequiredResult(input_requests=requests, request_state=state)


class Unanswered(Exception):
    """Nobody is there any more who could answer."""


class Conversation:
    """One call, and what its client said so far."""

    def __init__(self, ctx, params):
        self.ctx, self.known = ctx, json.loads(params.request_state or "{}")
        for key, answer in (params.input_responses or {}).items():
            self.known[key] = answer.model_dump(mode="json", by_alias=True)

    async def ask(self, **requests) -> list:
        if self.ctx.protocol_version == MODERN:
            if missing := {key: request for key, request in requests.items() if key not in self.known}:
                raise Wanted(missing, json.dumps(self.known))
            return [RESULTS[request.method].model_validate(self.known[key]) for key, request in requests.items()]
        try:
            return await asyncio.gather(*(self.put(request) for request in requests.values()))
        except MCPError as error:
            raise Unanswered from error

    async def put(self, request):
        session, here = self.ctx.session, self.ctx.request_id
        if request.method == "roots/list":
            return await session.list_roots()
        if request.method == "elicitation/create":
            return await session.elicit_form(request.params.message, request.params.requested_schema, related_request_id=here)
        return await session.create_message(request.params.messages, max_tokens=10, related_request_id=here)


def said(answer: types.ElicitResult) -> str:
    return answer.content["name"] if answer.action == "accept" else answer.action


def places(answer: types.ListRootsResult) -> str:
    return ",".join(str(root.uri) for root in answer.roots)


async def talk(name: str, ctx, params) -> str:
    with_client = Conversation(ctx, params)
    if name == "name":
        [who] = await with_client.ask(who=form("who?"))
        return said(who)
    if name == "think":
        [thought] = await with_client.ask(thought=sample("think"))
        return thought.content.text
    if name == "where":
        [roots] = await with_client.ask(roots=types.ListRootsRequest())
        return places(roots)
    if name == "both":
        who, thought = await with_client.ask(who=form("who?"), thought=sample("think"))
        return f"{said(who)} {thought.content.text}"
    if name == "rounds":
        [first] = await with_client.ask(first=form("first?"))
        [second] = await with_client.ask(second=form(f"after {said(first)}?"))
        return f"{said(first)} {said(second)}"
    if name == "slow":
        await tell(ctx, 1)
        [who] = await with_client.ask(who=form("who?"))
        await tell(ctx, 2)
        return said(who)
    if name == "visit" and not visited:
        visited.append(name)
        visit = types.ElicitRequestURLParams(message="sign in", url="https://example.com/in", elicitation_id="e1")
        data = {"elicitations": [visit.model_dump(mode="json", by_alias=True)]}
        raise MCPError(-32042, "sign in first", data)
    return str(given_up) if name == "cancelled" else "visited"


async def tell(ctx, step: int) -> None:
    await ctx.session.send_log_message("info", f"step {step}", related_request_id=ctx.request_id)
    await ctx.session.report_progress(step, 2)


async def call_tool(ctx, params):
    global given_up
    try:
        text = await talk(params.name, ctx, params)
    except Wanted as wanted:
        return wanted.result
    except (Unanswered, anyio.get_cancelled_exc_class()) as left:
        given_up += 1
        raise left.__cause__ or left
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


async def list_tools(ctx, params):
    return types.ListToolsResult(tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS])


def in_the_manner_of_2024(server: Server) -> Starlette:
    transport = SseServerTransport("/messages/")

    async def stream(request):
        async with transport.connect_sse(request.scope, request.receive, request._send) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", stream), Mount("/messages/", transport.handle_post_message)])


async def over_stdio(server: Server) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    server = Server("asking", on_list_tools=list_tools, on_call_tool=call_tool)
    if len(sys.argv) > 1:
        app = in_the_manner_of_2024(server) if "sse" in sys.argv else server.streamable_http_app()
        uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
    else:
        anyio.run(over_stdio, server)
