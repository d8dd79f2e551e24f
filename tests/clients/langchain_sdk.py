"""LangChain's two integrations: `ChatOpenAI` at both of OpenAI's doors, `ChatAnthropic` at Anthropic's."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable

from serve import TOOL, Ask, City, serve, weather

QUESTION = HumanMessage("hello")
OFFERED = {"title": TOOL["name"], "description": TOOL["description"], **TOOL["parameters"]}
PICTURE_TEXT = {"type": "text", "text": "what is it?"}


def model_of(ask: Ask, thinks: bool = False) -> BaseChatModel:
    # Each integration takes seconds to import, and one program is asked of both.
    if ask.door == "messages":
        from langchain_anthropic import ChatAnthropic

        wish = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}} if thinks else {"max_tokens": 64}
        return ChatAnthropic(model=ask.model, base_url=ask.url, api_key="none", **wish)
    from langchain_openai import ChatOpenAI

    more = {"use_responses_api": True, "store": False, "output_version": "responses/v1"} if ask.door == "responses" else {}
    if thinks:
        more |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]} if ask.door == "responses" else {"reasoning_effort": "low"}
    return ChatOpenAI(model=ask.model, base_url=f"{ask.url}/v1", api_key="none", stream_usage=True, **more)


def invoke(ask: Ask, model: Runnable, messages: list[BaseMessage]) -> tuple[AIMessage, list[str]]:
    """The message, and the pieces of text it came in."""
    if not ask.stream:
        message = model.invoke(messages)
        return message, [text_of(message)]
    whole, pieces = None, []
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
        pieces += [text_of(chunk)] if text_of(chunk) else []
    return whole, pieces


def text_of(message: BaseMessage) -> str:
    return "".join(block["text"] for block in message.content_blocks if block["type"] == "text")


def finish_of(message: AIMessage) -> str:
    told = message.response_metadata
    return told.get("finish_reason") or told.get("stop_reason") or told.get("status")


def chat(ask: Ask) -> dict:
    message, pieces = invoke(ask, model_of(ask), [QUESTION])
    usage = message.usage_metadata
    return {"pieces": pieces, "finish": finish_of(message), "usage": [usage["input_tokens"], usage["output_tokens"]]}


def tools(ask: Ask) -> dict:
    model = model_of(ask).bind_tools([OFFERED])
    first, _ = invoke(ask, model, [QUESTION])
    results = [ToolMessage(weather(**call["args"]), tool_call_id=call["id"]) for call in first.tool_calls]
    _, pieces = invoke(ask, model, [QUESTION, first, *results])
    return {"calls": [[call["name"], call["args"]] for call in first.tool_calls], "finish": finish_of(first), "text": "".join(pieces)}


def images(ask: Ask) -> dict:
    picture = {"type": "image", "base64": ask.picture, "mime_type": "image/png"}
    _, pieces = invoke(ask, model_of(ask), [HumanMessage(content_blocks=[PICTURE_TEXT, picture])])
    return {"text": "".join(pieces)}


def thinking(ask: Ask) -> dict:
    model = model_of(ask, thinks=True)
    first, pieces = invoke(ask, model, [QUESTION])
    invoke(ask, model, [QUESTION, first, HumanMessage("more")])
    thought = "".join(block["reasoning"] for block in first.content_blocks if block["type"] == "reasoning")
    return {"thought": thought, "text": "".join(pieces)}


def schema(ask: Ask) -> dict:
    model = model_of(ask).with_structured_output(City, method="json_schema")
    found = list(model.stream([QUESTION]))[-1] if ask.stream else model.invoke([QUESTION])
    return {"parsed": found.model_dump()}


def embeddings(ask: Ask) -> dict:
    from langchain_openai import OpenAIEmbeddings

    # Texts, not numbers of tokens: those take a table that is fetched from the network.
    client = OpenAIEmbeddings(model=ask.model, base_url=f"{ask.url}/v1", api_key="none", check_embedding_ctx_length=False)
    return {"vectors": client.embed_documents(["one", "three"])}


ABILITIES = {(door, ability.__name__): ability for door in ("chat", "responses", "messages") for ability in (chat, tools, images, thinking, schema)}
ABILITIES["chat", "embeddings"] = embeddings

if __name__ == "__main__":
    serve(ABILITIES)
