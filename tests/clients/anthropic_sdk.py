"""Anthropic's own SDK."""

import anthropic

from serve import TOOL, Ask, City, serve, weather

QUESTION = {"role": "user", "content": "hello"}


def client_of(ask: Ask) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=ask.url, api_key="none", timeout=20)


def tell(ask: Ask, messages: list, max_tokens: int = 64, **more) -> tuple[object, list[str]]:
    """The message, and the pieces of text it came in."""
    client = client_of(ask).messages
    if not ask.stream:
        message = client.create(model=ask.model, max_tokens=max_tokens, messages=messages, **more)
        return message, [block.text for block in message.content if block.type == "text"]
    with client.stream(model=ask.model, max_tokens=max_tokens, messages=messages, **more) as stream:
        pieces = list(stream.text_stream)
        return stream.get_final_message(), pieces


def chat(ask: Ask) -> dict:
    message, pieces = tell(ask, [QUESTION])
    return {"pieces": pieces, "finish": message.stop_reason, "usage": [message.usage.input_tokens, message.usage.output_tokens]}


def tools(ask: Ask) -> dict:
    offered = [{"name": TOOL["name"], "description": TOOL["description"], "input_schema": TOOL["parameters"]}]
    first, _ = tell(ask, [QUESTION], tools=offered)
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)} for call in calls]
    _, pieces = tell(ask, [QUESTION, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}], tools=offered)
    return {"calls": [[call.name, call.input] for call in calls], "finish": first.stop_reason, "text": "".join(pieces)}


def images(ask: Ask) -> dict:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ask.picture}}
    _, pieces = tell(ask, [{"role": "user", "content": [picture, {"type": "text", "text": "what is it?"}]}])
    return {"text": "".join(pieces)}


def thinking(ask: Ask) -> dict:
    wish = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    first, pieces = tell(ask, [QUESTION], **wish)
    tell(ask, [QUESTION, {"role": "assistant", "content": first.content}, {"role": "user", "content": "more"}], **wish)
    return {"thought": "".join(block.thinking for block in first.content if block.type == "thinking"), "text": "".join(pieces)}


def schema(ask: Ask) -> dict:
    if ask.stream:
        message, _ = tell(ask, [QUESTION], output_format=City)
    else:
        message = client_of(ask).messages.parse(model=ask.model, max_tokens=64, messages=[QUESTION], output_format=City)
    return {"parsed": message.parsed_output.model_dump()}


ABILITIES = {("messages", ability.__name__): ability for ability in (chat, tools, images, thinking, schema)}

if __name__ == "__main__":
    serve(ABILITIES)
