"""What must not leak, for a short while; the long runs are the scripts themselves, their figures in `soak/RESULTS.md`."""

import pytest

from soak import leaks, listeners

pytestmark = pytest.mark.timeout(180)


def test_t31_rounds_of_connect_call_and_kill_leave_nothing_behind(tmp_path):
    base, after, misses = leaks.measure(tmp_path, 48)
    assert misses == [], (base, after)


def test_t30_listeners_cost_little_and_leave_nothing_behind(tmp_path):
    found, misses = listeners.measure(tmp_path, 500)
    assert misses == [], found
