"""Who sits before a client, in the tests of servers that ask."""

import asyncio

import mcp_types as types

ROOT = "file:///of/the/client"


class Person:
    """Who sits before a client: what was asked, and how it is answered."""

    def __init__(self, action: str = "accept"):
        self.action, self.asked, self.logs, self.progress = action, [], [], []

    def manner(self) -> dict:
        """How a client comes to him."""
        answers = {"elicitation_callback": self.elicit, "sampling_callback": self.sample, "list_roots_callback": self.roots}
        return {"logging_callback": self.log, "log_level": "info", **answers}

    def hesitates(self) -> asyncio.Event:
        """From now on he never answers what is asked; set once something is."""
        asked = asyncio.Event()

        async def never(context, params):
            asked.set()
            await asyncio.Event().wait()

        self.elicit = never
        return asked

    async def elicit(self, context, params) -> types.ElicitResult:
        self.asked.append(getattr(params, "url", None) or params.message)
        return types.ElicitResult(action=self.action, content={"name": f"N{len(self.asked)}"} if self.action == "accept" else None)

    async def sample(self, context, params) -> types.CreateMessageResult:
        self.asked.append("sample")
        return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(type="text", text="thought"))

    async def roots(self, context) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri=ROOT)])

    async def log(self, params) -> None:
        self.logs.append(params.data)

    async def tick(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append(progress)
