"""A client as a program: every line of its input is an ask in JSON, every line of its output what came of it."""

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import pydantic

TOOL = {
    "name": "weather",
    "description": "Tells the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}


class City(pydantic.BaseModel):
    """What is asked for in a shape; the order of the fields is not that of the alphabet."""

    zeta: str
    alpha: int


@dataclass
class Ask:
    """One thing that a client is to do. The same fields reach the clients in JavaScript."""

    url: str
    model: str
    door: str
    """Which of the router's fronts the client is to speak to, where it knows several."""
    ability: str
    stream: bool
    picture: str
    """A PNG in base64."""


def weather(city: str) -> str:
    """What the tool says."""
    return f"rain in {city}"


def serve(abilities: dict[tuple[str, str], Callable[[Ask], dict]]) -> None:
    """Answers until the input ends; of a refusal, its status and its words are the answer."""
    for line in sys.stdin:
        ask = Ask(**json.loads(line))
        try:
            told = abilities[ask.door, ask.ability](ask)
        except Exception as failure:
            status = getattr(failure, "status_code", None)
            told = {"status": status, "message": str(failure)} if status else {"broken": traceback.format_exc()}
        print(json.dumps(told), flush=True)
