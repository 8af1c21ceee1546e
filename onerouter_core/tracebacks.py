"""Errors without the frames that their tracebacks hold.

This module knows Python's exceptions alone. A frame holds its locals, and the frames that called it
hold theirs. If one of them refers to the error, that is a cycle, and all of it stays until the
garbage collector comes: what the caller's locals refer to, too. Three libraries make such cycles:

- HTTP libraries translate errors in generators that `contextlib.contextmanager` wraps. From Python
  3.12 on such a generator's frame still refers to the frame of `contextlib` that resumed it
  (`f_back`), and a local of that frame (`value`) is the error that was translated.
- tenacity's `Retrying.__call__` has a local (`retry_state`) that holds the last error.
- langchain-core's `BaseChatModel.agenerate` has a local (`exceptions`) that holds what it raises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


def without_frames(error: E) -> E:
    """Return an error without its traceback, and all that led to it without theirs.

    What the caller was handling as it called is left as it is. `sys.exc_info` tells what that is,
    but not inside an `except`: call this behind it.
    """
    for one in led_to(error):
        one.__traceback__ = None
    return error


def led_to(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it, said to be its cause or not, but as above."""
    return _behind(error, sys.exc_info()[1])


def _behind(error: BaseException | None, handled: BaseException | None) -> Iterator[BaseException]:
    if error is not None and error is not handled:
        yield error
        yield from _behind(error.__cause__, handled)
        if error.__context__ is not error.__cause__:
            yield from _behind(error.__context__, handled)
