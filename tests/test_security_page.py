"""SECURITY.md names the tests that show what it says: they have to be there."""

import re

from router import ROOT


def test_every_test_that_is_named_is_there():
    named = set(re.findall(r"`((?:test_|t_\d|[a-z]+_)[a-z0-9_]{12,})`", (ROOT / "SECURITY.md").read_text()))
    sources = [file for pattern in ("tests/*.py", "crates/*/src/**/*.rs", "crates/*/tests/**/*.rs") for file in ROOT.glob(pattern)]
    there = {name for file in sources for name in re.findall(r"(?:def|fn) (\w+)", file.read_text())}
    assert len(named) > 50 and named - there == set()
