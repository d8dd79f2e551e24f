"""Ollama's own client."""

import base64

import ollama

from serve import TOOL, Ask, City, serve, weather

QUESTION = {"role": "user", "content": "hello"}


def client_of(ask: Ask) -> ollama.Client:
    return ollama.Client(host=ask.url, timeout=20)


def talk(ask: Ask, messages: list, **more) -> tuple[ollama.Message, list[str], ollama.ChatResponse]:
    """The message put together, the pieces of text it came in, and the last line."""
    client = client_of(ask)
    lines = list(client.chat(ask.model, messages, stream=True, **more)) if ask.stream else [client.chat(ask.model, messages, **more)]
    pieces = [line.message.content for line in lines if line.message.content]
    thought = "".join(line.message.thinking or "" for line in lines)
    calls = [call for line in lines for call in line.message.tool_calls or []]
    return ollama.Message(role="assistant", content="".join(pieces), thinking=thought or None, tool_calls=calls or None), pieces, lines[-1]


def chat(ask: Ask) -> dict:
    _, pieces, last = talk(ask, [QUESTION])
    return {"pieces": pieces, "finish": last.done_reason, "usage": [last.prompt_eval_count, last.eval_count]}


def tools(ask: Ask) -> dict:
    offered = [{"type": "function", "function": TOOL}]
    first, _, last = talk(ask, [QUESTION], tools=offered)
    calls = [(call.function.name, dict(call.function.arguments)) for call in first.tool_calls]
    results = [{"role": "tool", "tool_name": name, "content": weather(**arguments)} for name, arguments in calls]
    second, _, _ = talk(ask, [QUESTION, first, *results], tools=offered)
    return {"calls": [list(call) for call in calls], "finish": last.done_reason, "text": second.content}


def images(ask: Ask) -> dict:
    message, _, _ = talk(ask, [{"role": "user", "content": "what is it?", "images": [base64.b64decode(ask.picture)]}])
    return {"text": message.content}


def thinking(ask: Ask) -> dict:
    message, _, _ = talk(ask, [QUESTION], think=True)
    return {"thought": message.thinking, "text": message.content}


def schema(ask: Ask) -> dict:
    message, _, _ = talk(ask, [QUESTION], format=City.model_json_schema())
    return {"parsed": City.model_validate_json(message.content).model_dump()}


def embeddings(ask: Ask) -> dict:
    return {"vectors": [list(vector) for vector in client_of(ask).embed(ask.model, ["one", "three"]).embeddings]}


ABILITIES = {("ollama", ability.__name__): ability for ability in (chat, tools, images, thinking, schema, embeddings)}

if __name__ == "__main__":
    serve(ABILITIES)
