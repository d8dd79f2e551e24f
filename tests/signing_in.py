"""What signing in takes: a server that wants tokens, who makes them out, and a person with a browser."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from programs import NODE, TESTS

OAUTH = TESTS / "oauth"


class Site:
    """A server of tests/oauth that prints its address first."""

    def __init__(self, name: str, *args: str):
        self.process = subprocess.Popen([NODE, OAUTH / name, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), f"{name} does not start"

    def seen(self) -> list:
        return httpx.get(f"{self.url}/seen").json()

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


class World:
    """A server that wants tokens, and who makes them out."""

    def __init__(self, folder: Path, seconds: int):
        self.state = folder / "state"
        self.server = Site("guarded.mjs")
        self.authority = Site("authority.mjs", str(urlsplit(self.server.url).port), str(seconds))
        httpx.post(f"{self.server.url}/issuer", content=self.authority.url)

    def config(self, **auth) -> dict:
        far = {"url": f"{self.server.url}/mcp", **({"auth": auth} if auth else {})}
        return {"mcpServers": {"far": far}, "state": str(self.state), "egress": {"allow_private": ["127.0.0.1"]}}

    def shown(self) -> list[str]:
        """The tokens that the server was shown."""
        return [headers["authorization"] for headers in self.server.seen() if "authorization" in headers]

    def asked(self, line: str) -> int:
        return self.authority.seen().count(line)

    def close(self) -> None:
        self.server.close()
        self.authority.close()


class Form(HTMLParser):
    """The first form of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = attributes.get("action")
        if tag == "input" and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value") or "somebody"


def browse(url: str) -> httpx.Response:
    """Goes where a person goes: signs in, consents, comes back. The answer of the address that he comes back to."""
    with httpx.Client(timeout=30) as browser:
        answer = browser.get(url)
        for _ in range(20):
            if answer.is_redirect:
                answer = browser.get(urljoin(str(answer.url), answer.headers["location"]))
            elif urlsplit(str(answer.url)).path == "/oauth/callback":
                return answer
            else:
                form = Form(answer.text)
                assert form.action, answer.text
                answer = browser.post(urljoin(str(answer.url), form.action), data=form.fields)
        raise AssertionError(f"no end in sight: {answer.url}")


def sent_on(start: str) -> str:
    """Where the page of the router leads whoever agrees."""
    answer = httpx.post(start)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def asked_for(start: str, name: str) -> str:
    """What the authorization server is asked for, by its name."""
    return parse_qs(urlsplit(sent_on(start)).query)[name][0]
