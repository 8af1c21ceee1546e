"""Plugin of pytest: the fixture `onerouter`, a simulated gateway for one test.

Knows pytest. pytest imports this module at each start, where the package is installed: what the
fixture needs is imported when a test asks for it.
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

    monkeypatch.setenv("ONEROUTER_BASE_URL", _onerouter_simulator.base_url)
    monkeypatch.setenv("ONEROUTER_API_KEY", _onerouter_simulator.api_key)
    for name in ("NO_PROXY", "no_proxy"):  # a proxy is another machine
        monkeypatch.setenv(name, _LOOPBACK, prepend=",")
    _onerouter_simulator.clear()
    with loopback_only() as request.node.stash[_REFUSED]:
        yield _onerouter_simulator
    _onerouter_simulator.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has caught, or never seen, the error of a refused connection."""
    result = yield
    if refused := item.stash.get(_REFUSED, None):
        addresses = ", ".join(dict.fromkeys(refused))
        pytest.fail(
            f"The test connects to {addresses}. The fixture `onerouter` allows this machine only:"
            " give the client simulator.base_url, or script the reply.",
            pytrace=False,
        )
    return result
