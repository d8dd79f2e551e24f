"""An MCP server over stdio that misbehaves on demand. It speaks the 2025 era, by hand, so that it can break every rule.

    faulty.py [--ignore-sigterm] [--child]

Tools: echo(text), pid(), die(), hang(), garbage(text). `--child` starts a process of its own, in a session of its own,
which outlives it unless somebody ends it.
"""

import json
import os
import signal
import subprocess
import sys
import time

TOOLS = {
    "echo": {"type": "object", "properties": {"text": {"type": "string"}}},
    "pid": {"type": "object"},
    "die": {"type": "object"},
    "hang": {"type": "object"},
    "garbage": {"type": "object", "properties": {"text": {"type": "string"}}},
}


def send(message: dict) -> None:
    print(json.dumps(message), flush=True)


def call(name: str, arguments: dict) -> str:
    if name == "die":
        os._exit(3)
    if name == "hang":
        time.sleep(3600)
    if name == "garbage":
        print("this is not JSON\n{\"neither\": is this\n\n[]\n{}", flush=True)
    if name == "pid":
        return str(os.getpid())
    return arguments.get("text", "")


def answer(method: str, params: dict) -> dict:
    if method == "initialize":
        version = params["protocolVersion"]
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "faulty", "version": "1"}}
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": call(params["name"], params.get("arguments") or {})}]}
    if method == "ping":
        return {}
    raise LookupError(method)


def main(options: list[str]) -> None:
    stubborn = "--ignore-sigterm" in options
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--child" in options:
        subprocess.Popen(["sleep", "3600"], start_new_session=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        try:
            send({"jsonrpc": "2.0", "id": message["id"], "result": answer(message["method"], message.get("params") or {})})
        except LookupError as unknown:
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": f"no method {unknown}"}})
    while stubborn:
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1:])
