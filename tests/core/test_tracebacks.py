"""Tracebacks of errors and of their causes and contexts are removed, but not the caller's."""

from __future__ import annotations

import pytest

from onerouter_core import without_frames


def fail(error: Exception, cause: Exception | None = None) -> None:
    """Raise an error."""
    raise error from cause


def raised(cause: Exception | None = None) -> ValueError:
    """Return an error that was raised while another one was handled, with a cause."""
    try:
        fail(KeyError("context"))
    except KeyError:
        with pytest.raises(ValueError, match="error") as caught:
            fail(ValueError("error"), cause)
    return caught.value


@pytest.mark.parametrize("cause", [None, RuntimeError("cause")])
def test_causes_and_contexts_lose_their_tracebacks(cause: Exception | None) -> None:
    """The same error is returned, without any traceback in its chain."""
    error = raised(cause)
    assert error.__context__ is not None
    assert error.__context__.__traceback__ is not None
    assert without_frames(error) is error
    assert error.__traceback__ is error.__context__.__traceback__ is None


def test_the_handled_error_keeps_its_traceback() -> None:
    """The error that the caller is handling is no part of the chain."""
    kept = []
    try:
        fail(KeyError("handled by the caller"))
    except KeyError as handled:
        without_frames(raised())
        kept.append(handled.__traceback__)
    assert kept != [None]
