"""OpenAI's own SDK at both of its doors, `chat` and `responses`."""

import json

import openai

from serve import TOOL, Ask, City, serve, weather

QUESTION = {"role": "user", "content": "hello"}


def client_of(ask: Ask) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{ask.url}/v1", api_key="none", timeout=20)


# -- chat completions


def complete(ask: Ask, messages: list, **more) -> tuple[object, list[str], str]:
    """The reply, the pieces of text it came in, and its thoughts."""
    client = client_of(ask).chat.completions
    if not ask.stream:
        reply = client.create(model=ask.model, messages=messages, **more)
        message = reply.choices[0].message
        return reply, [message.content], getattr(message, "reasoning_content", "")
    pieces, thoughts = [], []
    with client.stream(model=ask.model, messages=messages, stream_options={"include_usage": True}, **more) as stream:
        for event in stream:
            if event.type == "chunk" and event.chunk.choices:
                delta = event.chunk.choices[0].delta
                pieces += [delta.content] if delta.content else []
                thoughts.append(getattr(delta, "reasoning_content", None) or "")
        return stream.get_final_completion(), pieces, "".join(thoughts)


def chat(ask: Ask) -> dict:
    reply, pieces, _ = complete(ask, [QUESTION])
    return {"pieces": pieces, "finish": reply.choices[0].finish_reason, "usage": [reply.usage.prompt_tokens, reply.usage.completion_tokens]}


def tools(ask: Ask) -> dict:
    offered = [{"type": "function", "function": {**TOOL, "strict": True}}]
    first, _, _ = complete(ask, [QUESTION], tools=offered)
    message = first.choices[0].message
    calls = [(call, json.loads(call.function.arguments)) for call in message.tool_calls]
    results = [{"role": "tool", "tool_call_id": call.id, "content": weather(**arguments)} for call, arguments in calls]
    said = message.model_dump(exclude_none=True, exclude={"parsed": True, "tool_calls": {"__all__": {"function": {"parsed_arguments"}}}})
    _, pieces, _ = complete(ask, [QUESTION, said, *results], tools=offered)
    finish = first.choices[0].finish_reason
    return {"calls": [[call.function.name, arguments] for call, arguments in calls], "finish": finish, "text": "".join(pieces)}


def images(ask: Ask) -> dict:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ask.picture}"}}
    _, pieces, _ = complete(ask, [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]}])
    return {"text": "".join(pieces)}


def thinking(ask: Ask) -> dict:
    _, pieces, thought = complete(ask, [QUESTION], reasoning_effort="low")
    return {"thought": thought, "text": "".join(pieces)}


def schema(ask: Ask) -> dict:
    if ask.stream:
        reply, _, _ = complete(ask, [QUESTION], response_format=City)
    else:
        reply = client_of(ask).chat.completions.parse(model=ask.model, messages=[QUESTION], response_format=City)
    return {"parsed": reply.choices[0].message.parsed.model_dump()}


def embeddings(ask: Ask) -> dict:
    reply = client_of(ask).embeddings.create(model=ask.model, input=["one", "three"])
    return {"vectors": [item.embedding for item in sorted(reply.data, key=lambda item: item.index)]}


# -- responses


def respond(ask: Ask, conversation: list, **more) -> tuple[object, list[str]]:
    client = client_of(ask).responses
    if not ask.stream:
        reply = client.create(model=ask.model, input=conversation, store=False, **more)
        return reply, [reply.output_text]
    with client.stream(model=ask.model, input=conversation, store=False, **more) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        return stream.get_final_response(), pieces


def responses_chat(ask: Ask) -> dict:
    reply, pieces = respond(ask, [QUESTION])
    return {"pieces": pieces, "finish": reply.status, "usage": [reply.usage.input_tokens, reply.usage.output_tokens]}


def items_of(reply) -> list[dict]:
    return [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in reply.output]


def responses_tools(ask: Ask) -> dict:
    offered = [{"type": "function", **TOOL, "strict": True}]
    first, _ = respond(ask, [QUESTION], tools=offered)
    calls = [(item, json.loads(item.arguments)) for item in first.output if item.type == "function_call"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": weather(**arguments)} for call, arguments in calls]
    _, pieces = respond(ask, [QUESTION, *items_of(first), *results], tools=offered)
    return {"calls": [[call.name, arguments] for call, arguments in calls], "finish": first.status, "text": "".join(pieces)}


def responses_images(ask: Ask) -> dict:
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{ask.picture}", "detail": "auto"}
    _, pieces = respond(ask, [{"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, picture]}])
    return {"text": "".join(pieces)}


def responses_thinking(ask: Ask) -> dict:
    wish = {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    first, pieces = respond(ask, [QUESTION], **wish)
    thought = "".join(part.text for item in first.output if item.type == "reasoning" for part in item.summary)
    respond(ask, [QUESTION, *items_of(first), {"role": "user", "content": "more"}], **wish)
    return {"thought": thought, "text": "".join(pieces)}


def responses_schema(ask: Ask) -> dict:
    if ask.stream:
        reply, _ = respond(ask, [QUESTION], text_format=City)
    else:
        reply = client_of(ask).responses.parse(model=ask.model, input=[QUESTION], text_format=City, store=False)
    return {"parsed": reply.output_parsed.model_dump()}


ABILITIES = {
    ("chat", "chat"): chat,
    ("chat", "tools"): tools,
    ("chat", "images"): images,
    ("chat", "thinking"): thinking,
    ("chat", "schema"): schema,
    ("chat", "embeddings"): embeddings,
    ("responses", "chat"): responses_chat,
    ("responses", "tools"): responses_tools,
    ("responses", "images"): responses_images,
    ("responses", "thinking"): responses_thinking,
    ("responses", "schema"): responses_schema,
}

if __name__ == "__main__":
    serve(ABILITIES)
