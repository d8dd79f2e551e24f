"""What a provider was asked, told in one way whichever dialect it was asked in."""

import json
from dataclasses import dataclass, field

from recording import Recorded


@dataclass
class Asked:
    """The parts of a question that a translation may lose."""

    tools: list[str] = field(default_factory=list)
    rounds: list[tuple[str, dict, str]] = field(default_factory=list)
    """Each call of the conversation with what it was answered: name, arguments, result."""
    images: list[str] = field(default_factory=list)
    """As data URLs."""
    schema: list[str] | None = None
    """The names of the wanted object's fields, in their order."""
    thinks: bool = False


def asked(recorded: Recorded) -> Asked:
    """Reads a question by the path it was sent to."""
    path = recorded.path.split("?")[0]
    for end, read in {"/messages": _anthropic, "/responses": _responses, "/api/chat": _ollama, "/chat/completions": _openai}.items():
        if path.endswith(end):
            return read(recorded.body)
    raise AssertionError(f"no question is put at {path}")


def _parts(messages: list[dict]) -> list[dict]:
    return [part for message in messages if isinstance(message.get("content"), list) for part in message["content"]]


def _text(content: str | list[dict]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _rounds(calls: list[tuple[str, str, dict]], results: dict[str, str]) -> list[tuple[str, dict, str]]:
    """Pairs calls with results by their ids; what has no partner is an error of the translation."""
    assert [identifier for identifier, _, _ in calls] == list(results), (calls, results)
    return [(name, arguments, results[identifier]) for identifier, name, arguments in calls]


def _openai(body: dict) -> Asked:
    messages = body["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or []]
    named = [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    results = {message["tool_call_id"]: _text(message["content"]) for message in messages if message["role"] == "tool"}
    wanted = body.get("response_format", {}).get("json_schema")
    return Asked(
        [tool["function"]["name"] for tool in body.get("tools", [])],
        _rounds(named, results),
        [part["image_url"]["url"] for part in _parts(messages) if part["type"] == "image_url"],
        list(wanted["schema"]["properties"]) if wanted else None,
        "reasoning_effort" in body,
    )


def _responses(body: dict) -> Asked:
    items = body["input"] if isinstance(body["input"], list) else []
    calls = [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in items if item.get("type") == "function_call"]
    results = {item["call_id"]: _text(item["output"]) for item in items if item.get("type") == "function_call_output"}
    wanted = body.get("text", {}).get("format", {})
    return Asked(
        [tool["name"] for tool in body.get("tools", [])],
        _rounds(calls, results),
        [part["image_url"] for part in _parts(items) if part["type"] == "input_image"],
        list(wanted["schema"]["properties"]) if "schema" in wanted else None,
        "effort" in (body.get("reasoning") or {}),
    )


def _anthropic(body: dict) -> Asked:
    parts = _parts(body["messages"])
    calls = [(part["id"], part["name"], part["input"]) for part in parts if part["type"] == "tool_use"]
    results = {part["tool_use_id"]: _text(part["content"]) for part in parts if part["type"] == "tool_result"}
    sources = [part["source"] for part in parts if part["type"] == "image"]
    wanted = body.get("output_config", {}).get("format") or body.get("output_format")
    return Asked(
        [tool["name"] for tool in body.get("tools", [])],
        _rounds(calls, results),
        [f"data:{source['media_type']};base64,{source['data']}" for source in sources],
        list(wanted["schema"]["properties"]) if wanted else None,
        body.get("thinking", {}).get("type") in ("enabled", "adaptive"),
    )


def _ollama(body: dict) -> Asked:
    """Calls have no ids here: results follow in the order of the calls. Pictures have no types."""
    messages = body["messages"]
    functions = [call["function"] for message in messages for call in message.get("tool_calls") or []]
    results = [message for message in messages if message["role"] == "tool"]
    assert [function["name"] for function in functions] == [message["tool_name"] for message in results], (functions, results)
    wanted = body.get("format")
    return Asked(
        [tool["function"]["name"] for tool in body.get("tools", [])],
        [(function["name"], function["arguments"], result["content"]) for function, result in zip(functions, results, strict=True)],
        [f"data:image/png;base64,{image}" for message in messages for image in message.get("images") or []],
        list(wanted["properties"]) if isinstance(wanted, dict) else None,
        bool(body.get("think")),
    )
