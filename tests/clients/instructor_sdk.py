"""instructor over OpenAI's SDK and over Anthropic's: objects from calls and from schemas, in parts, and asked for again."""

from collections.abc import Iterable

import anthropic
import instructor
import openai
import pydantic
from instructor import Mode
from instructor.processing.multimodal import Image

from serve import Ask, City, serve


class weather(pydantic.BaseModel):  # noqa: N801, the tool is called so
    """Tells the weather of a city."""

    city: str


class Fussy(City):
    """Takes no number below seven."""

    @pydantic.field_validator("alpha")
    @classmethod
    def is_enough(cls, alpha: int) -> int:
        if alpha < 7:
            raise ValueError("alpha must be seven at least")
        return alpha


def create(ask: Ask, mode: Mode, shape: type, content: object = "hello", retries: int = 0):
    if ask.door == "messages":
        client = instructor.from_anthropic(anthropic.Anthropic(base_url=ask.url, api_key="none", timeout=20), mode=mode)
    else:
        client = instructor.from_openai(openai.OpenAI(base_url=f"{ask.url}/v1", api_key="none", timeout=20), mode=mode)
    wish = {"model": ask.model, "max_tokens": 64, "response_model": shape, "max_retries": retries, "messages": [{"role": "user", "content": content}]}
    return list(client.create_partial(**wish))[-1] if ask.stream else client.create(**wish)


def tools(ask: Ask) -> dict:
    """Several objects of one answer are parallel calls."""
    return {"calls": [[type(call).__name__, call.model_dump()] for call in create(ask, Mode.PARALLEL_TOOLS, Iterable[weather])]}


def object_from_call(ask: Ask) -> dict:
    return {"parsed": create(ask, Mode.TOOLS, City).model_dump()}


def schema(ask: Ask) -> dict:
    return {"parsed": create(ask, Mode.JSON_SCHEMA, City).model_dump()}


def images(ask: Ask) -> dict:
    picture = Image.from_base64(f"data:image/png;base64,{ask.picture}")
    return {"parsed": create(ask, Mode.TOOLS, City, ["what is it?", picture]).model_dump()}


def correction(ask: Ask) -> dict:
    """What does not fit is told to the model, as the result of its call, and asked for again."""
    return {"parsed": create(ask, Mode.TOOLS, Fussy, retries=2).model_dump()}


ABILITIES = {(door, ability.__name__): ability for door in ("chat", "messages") for ability in (tools, object_from_call, schema, images, correction)}

if __name__ == "__main__":
    serve(ABILITIES)
