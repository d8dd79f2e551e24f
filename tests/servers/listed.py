"""An MCP server over stdio that has what a file says: tools, prompts, resources. It speaks the 2025 era, by hand.

    listed.py FILE

FILE holds {"tools": [...], "prompts": [...], "resources": [...], "resourceTemplates": [...], "page": 100} and is read
for every list. A tool answers with its own name and its arguments; `again` says that the tools have changed.
"""

import json
import sys
from pathlib import Path

LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}


def send(message: dict) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False), flush=True)


def page(has: dict, field: str, cursor: str | None) -> dict:
    size, start = has.get("page", 10_000), int(cursor or 0)
    items = has.get(field, [])
    more = {"nextCursor": str(start + size)} if start + size < len(items) else {}
    return {field: items[start : start + size], **more}


def answer(method: str, params: dict, has: dict) -> dict:
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}, "prompts": {}, "resources": {}, "completions": {}}
        return {"protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": {"name": "listed", "version": "1"}}
    if method in LISTS:
        return page(has, LISTS[method], params.get("cursor"))
    if method == "tools/call":
        if params["name"] == "again":
            send({"method": "notifications/tools/list_changed"})
        said = {"name": params["name"], "arguments": params.get("arguments")}
        return {"content": [{"type": "text", "text": json.dumps(said)}]}
    if method == "prompts/get":
        return {"messages": [{"role": "user", "content": {"type": "text", "text": params["name"]}}]}
    if method == "resources/read":
        return {"contents": [{"uri": params["uri"], "text": f"{sys.argv[1]} {params['uri']}"}]}
    if method == "completion/complete":
        return {"completion": {"values": [params["ref"].get("name") or params["ref"]["uri"]]}}
    if method == "ping":
        return {}
    raise LookupError(method)


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    try:
        has = json.loads(Path(sys.argv[1]).read_text())
        send({"id": message["id"], "result": answer(message["method"], message.get("params") or {}, has)})
    except LookupError as unknown:
        send({"id": message["id"], "error": {"code": -32601, "message": str(unknown)}})
