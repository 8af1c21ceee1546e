"""Plugin of pytest: the fixture `onerouter`, a simulated gateway for one test.

Knows pytest. pytest imports this module at each start, where the package is installed: the
needs of the fixture are imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onerouter_simulator import Simulator

_REFUSED = pytest.StashKey[list[str]]()
_LOOPBACK = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def _onerouter_simulator() -> Iterator[Simulator]:
    """Run one simulator for all tests of a process that ask for it."""
    from onerouter_simulator import Simulator  # noqa: PLC0415 -- see the module's docstring

    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def onerouter(
    _onerouter_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Simulator]:
    """Provide a simulated OneRouter gateway, and set ONEROUTER_BASE_URL and ONEROUTER_API_KEY.

    It has no requests and no queued scripts yet. The test fails if something in it connects to
    another machine.
    """
    from onerouter_simulator.network_guard import loopback_only  # noqa: PLC0415 -- as above

    simulator = _onerouter_simulator.start()  # a test may have stopped it
    simulator.clear()
    monkeypatch.setenv("ONEROUTER_BASE_URL", simulator.base_url)
    monkeypatch.setenv("ONEROUTER_API_KEY", simulator.api_key)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy is another machine
        monkeypatch.setenv(name, _LOOPBACK, prepend=",")
    with loopback_only() as refused:
        request.node.stash[_REFUSED] = refused
        yield simulator
    simulator.clear()
    _fail_for(refused)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has caught, or never seen, the error of a refused connection."""
    refused = item.stash.get(_REFUSED, [])
    try:
        result = yield
    except BaseException:
        refused.clear()  # the test has failed already
        raise
    _fail_for(refused)
    return result


def _fail_for(refused: list[str]) -> None:
    """Fail if connections were refused; forget them, so that each fails once."""
    if not refused:
        return
    addresses = ", ".join(dict.fromkeys(refused))
    refused.clear()
    pytest.fail(
        f"The test connects to {addresses}. The fixture `onerouter` allows this machine only: give"
        " the client its base_url, or script the reply.",
        pytrace=False,
    )
