"""What the official clients can do, each through its own front onto every dialect of an upstream."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from asked import Asked, asked
from programs import INSTRUCTOR, NODE, PYTHON, TESTS, Program
from recording import ANSWER, Act, RecordingProvider, vector_of
from router import Router

pytestmark = pytest.mark.timeout(180)

KEY = "sk-outside-tests-1234567890"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
CALLS = [("weather", {"city": "Bern"}), ("weather", {"city": "Rome"})]
ROUNDS = [("weather", {"city": "Bern"}, "rain in Bern"), ("weather", {"city": "Rome"}, "rain in Rome")]

OBJECT = {"zeta": "Bern", "alpha": 7}

# The dialects of upstreams, each with a model that thinks if it is told to.
MODELS = {"openai": "gpt-5.1", "responses": "gpt-5.1", "anthropic": "claude-sonnet-4-5", "ollama": "qwen3"}
EMBEDDERS = ["openai", "ollama"]
# What a provider signs its thoughts with, so that it knows them again.
PROOFS = {"anthropic": b"EqQB", "responses": b"gAAA"}

# How a front says that an answer has ended, and that tools are to be called.
ENDS = {"chat": ("stop", "tool_calls"), "responses": ("completed", "completed"), "messages": ("end_turn", "tool_use"), "ollama": ("stop", "stop")}

VERCEL = ("stop", "tool-calls")

PROGRAMS: dict[str, tuple[Path, Path]] = {
    "openai-python": (PYTHON, TESTS / "clients/openai_sdk.py"),
    "anthropic-python": (PYTHON, TESTS / "clients/anthropic_sdk.py"),
    "langchain": (PYTHON, TESTS / "clients/langchain_sdk.py"),
    "ollama-python": (PYTHON, TESTS / "clients/ollama_sdk.py"),
    "openai-js": (NODE, TESTS / "js/openai_sdk.mjs"),
    "anthropic-js": (NODE, TESTS / "js/anthropic_sdk.mjs"),
    "vercel": (NODE, TESTS / "js/vercel_sdk.mjs"),
    "instructor": (INSTRUCTOR, TESTS / "clients/instructor_sdk.py"),
}


@dataclass(frozen=True)
class Client:
    """One client at one front."""

    program: str
    door: str
    ends: tuple[str, str] | None = None
    """Its own words, where it does not hand on those of the front."""
    tells_thoughts: bool = True
    embeds: bool = False
    repeats: bool = True
    """It asks again by itself, twice, after a failure that may pass."""
    obeys: bool = True
    """It does not ask again where `x-should-retry` says so."""


CLIENTS = {
    "openai-python": Client("openai-python", "chat", embeds=True),
    "openai-python-responses": Client("openai-python", "responses"),
    "anthropic-python": Client("anthropic-python", "messages"),
    # It leaves out what is not in OpenAI's own description of a completion.
    "langchain-openai": Client("langchain", "chat", tells_thoughts=False, embeds=True),
    "langchain-openai-responses": Client("langchain", "responses"),
    "langchain-anthropic": Client("langchain", "messages"),
    "ollama-python": Client("ollama-python", "ollama", embeds=True, repeats=False),
    "openai-js": Client("openai-js", "chat", embeds=True),
    "openai-js-responses": Client("openai-js", "responses"),
    "anthropic-js": Client("anthropic-js", "messages"),
    "vercel-compatible": Client("vercel", "chat", VERCEL, embeds=True, obeys=False),
    "vercel-openai": Client("vercel", "responses", VERCEL, embeds=True, obeys=False),
    "vercel-anthropic": Client("vercel", "messages", VERCEL, obeys=False),
}
# It makes objects and nothing else, so it has tests of its own.
INSTRUCTORS = {"instructor-openai": Client("instructor", "chat"), "instructor-anthropic": Client("instructor", "messages")}



def parametrized(clients: dict[str, Client]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", clients.values(), ids=clients)


every_client = parametrized(CLIENTS)
every_instructor = parametrized(INSTRUCTORS)
every_dialect = pytest.mark.parametrize("dialect", MODELS)
one_or_the_other = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def programs() -> Iterator[Callable[[str], Program]]:
    """Starts each program when it is first asked for."""
    running: dict[str, Program] = {}

    def program(name: str) -> Program:
        if name not in running or running[name].process.poll() is not None:
            running[name] = Program(*PROGRAMS[name])
        return running[name]

    yield program
    for one in running.values():
        one.close()


def config_of(provider: RecordingProvider) -> dict:
    """OpenAI at both of its doors, and others who speak as Anthropic and Ollama do; asking again is left to the client."""
    settings = {"base_url": provider.url, "api_key": KEY, "retry": {"retries": 0}}
    kinds = {"openai": {"kind": "openai"}, "responses": {"kind": "openai", "dialect": "responses"}}
    return {"providers": {name: {**settings, **kinds.get(name, {"kind": "compatible", "dialect": name})} for name in MODELS}}


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[RecordingProvider, Router]]:
    """One provider, and one router for all that goes well."""
    provider = RecordingProvider()
    router = Router(tmp_path_factory.mktemp("clients"), config_of(provider))
    yield provider, router
    router.stop()
    provider.close()


@pytest.fixture
def provider(pair) -> RecordingProvider:
    """The provider as if nothing had been asked of it yet."""
    provider, _ = pair
    provider.recorded.clear()
    provider.script.clear()
    provider.always, provider.shuffles = Act(), True
    return provider


def asking(programs: Callable[[str], Program], router: Router) -> Callable[..., dict]:
    def ask_client(client: Client, ability: str, dialect: str, stream: bool = False) -> dict:
        wish = {"door": client.door, "ability": ability, "stream": stream, "picture": PICTURE}
        return programs(client.program).ask(url=router.url, model=f"{dialect}/{MODELS[dialect]}", **wish)

    return ask_client


@pytest.fixture
def ask(pair, provider, programs) -> Callable[..., dict]:
    """Has a client do one thing."""
    return asking(programs, pair[1])


@pytest.fixture
def ask_of_another(start, provider, programs) -> Callable[..., dict]:
    """Likewise of a router that forgets what went wrong."""
    return asking(programs, start(config_of(provider)))


@whole_and_streamed
@every_dialect
@every_client
def test_chat(ask, provider, client, dialect, stream):
    told = ask(client, "chat", dialect, stream)
    pieces = told.pop("pieces")
    end, _ = client.ends or ENDS[client.door]
    assert ("".join(pieces), told) == (ANSWER, {"finish": end, "usage": [7, 3]})
    assert (len(pieces) > 1) is stream
    assert (asked(provider.last), len(provider.questions)) == (Asked(), 1)


@whole_and_streamed
@every_dialect
@every_client
def test_tools_in_two_rounds_and_in_parallel(ask, provider, client, dialect, stream):
    provider.script = [Act(chunks=["I look."], calls=CALLS)]
    _, end = client.ends or ENDS[client.door]
    told = ask(client, "tools", dialect, stream)
    assert told == {"calls": [list(call) for call in CALLS], "finish": end, "text": ANSWER}
    assert [asked(question) for question in provider.questions] == [Asked(tools=["weather"]), Asked(tools=["weather"], rounds=ROUNDS)]


@every_dialect
@every_client
def test_images(ask, provider, client, dialect):
    assert ask(client, "images", dialect) == {"text": ANSWER}
    assert asked(provider.last) == Asked(images=[f"data:image/png;base64,{PICTURE}"])


@whole_and_streamed
@every_dialect
@every_client
def test_thinking(ask, provider, client, dialect, stream):
    """The thought is told; where the front can carry it, its maker gets it back in the next round as it was signed."""
    provider.always = Act(thought="hm")
    told = ask(client, "thinking", dialect, stream)
    assert told == {"thought": "hm" if client.tells_thoughts else "", "text": ANSWER}
    assert all(asked(question).thinks for question in provider.questions)
    if client.door in ("messages", "responses"):
        assert len(provider.questions) == 2 and PROOFS.get(dialect, b"") in provider.last.raw


@whole_and_streamed
@every_dialect
@every_client
def test_structured_output(ask, provider, client, dialect, stream):
    if client == CLIENTS["vercel-anthropic"] and dialect != "anthropic":
        # It knows by their names the models that take a schema. Of others it wants a call.
        provider.always, expect = Act(chunks=[], calls=[("json", OBJECT)]), Asked(tools=["json"])
    else:
        provider.always, expect = Act(chunks=['{"zeta": "Bern", ', '"alpha": 7}']), Asked(schema=["zeta", "alpha"])
    assert ask(client, "schema", dialect, stream) == {"parsed": OBJECT}
    assert (asked(provider.last), len(provider.questions)) == (expect, 1)


@pytest.mark.parametrize("dialect", EMBEDDERS)
@parametrized({name: client for name, client in CLIENTS.items() if client.embeds})
def test_embeddings(ask, provider, client, dialect):
    # Not every client looks at the numbers that tell their order.
    provider.shuffles = False
    assert ask(client, "embeddings", dialect) == {"vectors": [vector_of("one"), vector_of("three")]}
    assert len(provider.embeddings) == 1


@one_or_the_other
@every_client
def test_an_error_that_stays_is_told_at_once(ask_of_another, provider, client, dialect):
    """Also where a stream was asked for: nothing has been said yet."""
    provider.always = Act(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no such wish"}})
    for stream in (False, True):
        told = ask_of_another(client, "chat", dialect, stream)
        assert told["status"] == 400 and "no such wish" in told["message"]
    assert len(provider.questions) == 2


@one_or_the_other
@every_client
def test_an_error_that_passes_is_asked_again(ask_of_another, provider, client, dialect):
    """The client waits as long as the upstream says."""
    provider.script = [Act(status=429, headers={"retry-after": "1"})]
    began = time.monotonic()
    told = ask_of_another(client, "chat", dialect)
    if not client.repeats:
        assert (told["status"], len(provider.questions)) == (429, 1)
        return
    assert ("".join(told["pieces"]), len(provider.questions)) == (ANSWER, 2)
    assert time.monotonic() - began >= 1


@one_or_the_other
@parametrized({name: client for name, client in CLIENTS.items() if client.obeys})
def test_a_credential_that_is_ours_to_mend_is_not_tried_again(ask_of_another, provider, client, dialect):
    provider.always = Act(status=401)
    told = ask_of_another(client, "chat", dialect)
    assert (told["status"], len(provider.questions)) == (502, 1), told
    assert KEY not in told["message"]


@every_dialect
@every_instructor
def test_objects_from_parallel_calls(ask, provider, client, dialect):
    provider.always = Act(chunks=[], calls=CALLS)
    assert ask(client, "tools", dialect) == {"calls": [list(call) for call in CALLS]}
    assert [asked(question) for question in provider.questions] == [Asked(tools=["weather"])]


@whole_and_streamed
@every_dialect
@every_instructor
def test_an_object_from_a_call(ask, provider, client, dialect, stream):
    name = "PartialCity" if stream else "City"
    provider.always = Act(chunks=[], calls=[(name, OBJECT)])
    assert ask(client, "object_from_call", dialect, stream) == {"parsed": OBJECT}
    assert [asked(question) for question in provider.questions] == [Asked(tools=[name])]


@whole_and_streamed
@every_dialect
@every_instructor
def test_an_object_from_a_schema(ask, provider, client, dialect, stream):
    provider.always = Act(chunks=['{"zeta": "Bern", ', '"alpha": 7}'])
    assert ask(client, "schema", dialect, stream) == {"parsed": OBJECT}
    # To Anthropic it tells the schema in words: it does not know how this version of the SDK takes one.
    expect = Asked() if client.door == "messages" else Asked(schema=["zeta", "alpha"])
    assert [asked(question) for question in provider.questions] == [expect]


@every_dialect
@every_instructor
def test_an_object_from_a_picture(ask, provider, client, dialect):
    provider.always = Act(chunks=[], calls=[("City", OBJECT)])
    assert ask(client, "images", dialect) == {"parsed": OBJECT}
    assert asked(provider.last) == Asked(tools=["City"], images=[f"data:image/png;base64,{PICTURE}"])


@every_dialect
@every_instructor
def test_an_object_that_does_not_fit_is_asked_for_again(ask, provider, client, dialect):
    small = {**OBJECT, "alpha": 3}
    provider.script = [Act(chunks=[], calls=[("Fussy", small)]), Act(chunks=[], calls=[("Fussy", OBJECT)])]
    assert ask(client, "correction", dialect) == {"parsed": OBJECT}
    first, second = map(asked, provider.questions)
    [(name, arguments, told)] = second.rounds
    assert (first, name, arguments) == (Asked(tools=["Fussy"]), "Fussy", small)
    assert "alpha must be seven at least" in told
