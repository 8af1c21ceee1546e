"""Errors without tracebacks: a failed call shows no secret, and keeps none of its caller's objects.

Error trackers send the locals of the frames in a traceback (Sentry does by default), and debugging
tools print them. Frames of HTTP libraries have the request's headers there, and so do frames of
this package while a request is sent.

A traceback holds frames, a frame holds its locals and its calling frames. If one of those locals
refers to the error there is a reference cycle, and everything in it, the caller's locals included,
lives until the garbage collector runs. Three libraries create such cycles:

- HTTP libraries translate errors in generators wrapped by `contextlib.contextmanager`. From Python
  3.12 on the frame of such a generator still refers to the frame of `contextlib` that resumed it
  (`f_back`), and a local of that frame (`value`) is the translated error.
- tenacity's `Retrying.__call__` has a local (`retry_state`) that holds the last error.
- langchain-core's `BaseChatModel.agenerate` has a local (`exceptions`) that holds the raised error.

This module knows Python's exceptions and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def without_frames(error: E) -> E:
    """Remove the tracebacks of an error and of its causes and contexts; return the error.

    An error that the caller was handling at the time of the call is left as it is. `sys.exc_info`
    returns that error, but not inside an `except` block: call this after the block.
    """
    for found in iter_chain(error):
        found.__traceback__ = None
    return error


def iter_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts, without those that the caller was handling."""
    handled = sys.exc_info()[1]
    return _iter_chain(error, None if handled is error else handled)  # itself: in an `__exit__`


def _iter_chain(
    error: BaseException | None, handled: BaseException | None
) -> Iterator[BaseException]:
    if error is not None and error is not handled:
        yield error
        yield from _iter_chain(error.__cause__, handled)
        if error.__context__ is not error.__cause__:
            yield from _iter_chain(error.__context__, handled)
