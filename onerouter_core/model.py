"""What both classes are: parameters, and a gateway to use them on.

This module knows that an instance may be used from many threads and loops, copied, pickled and
closed. It knows no framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import PrivateAttr
from typing_extensions import Self

from onerouter_core.gateway import Gateway
from onerouter_core.parameters import Parameters, Settings
from onerouter_core.transport import Clients


class Learned(dict[str, Any]):
    """What an instance has found out: no part of equality, so that use does not change it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Learned)


class GatewayModel(Parameters):
    """The fields of `Parameters`, and SDK clients that are made on first use."""

    _clients: Clients = PrivateAttr(default_factory=Clients)

    def open(self, overrides: Mapping[str, Any]) -> tuple[Gateway, Settings]:
        """Return the gateway for a call, and what to ask of it; raise ConfigurationError."""
        settings = self.resolve(overrides)
        return Gateway(settings.connection, self._clients), settings

    def close(self) -> None:
        """Close the sync client; the next call makes a new one."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close this event loop's client, and the sync one."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
