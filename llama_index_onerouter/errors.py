"""Errors of a failed object: the classes of `onerouter_core.errors`, also ValueErrors.

LlamaIndex's own programs raise a ValueError for an object that is missing, cut or of the wrong
shape, and its property graphs, element parsers and extractors go on after one. Other failures of a
call are no ValueErrors: nothing goes on after a wrong key.
"""

from __future__ import annotations

from inspect import unwrap
from traceback import walk_stack
from types import FrameType
from typing import Any

from llama_index.core.node_parser.relational.base_element import BaseElementNodeParser
from llama_index.core.response_synthesizers.refine import DefaultRefineProgram, Refine

from onerouter_core import errors as core


class MalformedReplyError(core.MalformedReplyError, ValueError):
    """The reply holds no object, or not one of the requested class."""


class RefusalError(core.RefusalError, ValueError):
    """The model declined to answer where an object was requested."""


class ContentFilterError(core.ContentFilterError, ValueError):
    """Moderation blocked the request for an object, or the object."""


class LengthLimitError(core.LengthLimitError, ValueError):
    """`max_tokens` or the context window cut the object off."""


_CLASSES: dict[type[core.OneRouterError], type[core.OneRouterError]] = {
    core.MalformedReplyError: MalformedReplyError,
    core.RefusalError: RefusalError,
    core.ContentFilterError: ContentFilterError,
    core.LengthLimitError: LengthLimitError,
}


class ObjectErrors:
    """Context manager that makes the errors of a failed object ValueErrors.

    Those that nobody would see stay as they are. A generator in its place would make a cycle: see
    `onerouter_core.tracebacks`.
    """

    __slots__ = ("_is_for_object",)

    def __init__(self, *, is_for_object: bool = True) -> None:
        """Make errors ValueErrors.

        Args:
            is_for_object: Whether an object was asked for. A request with tools may be one: so do
                LlamaIndex's programs ask.
        """
        self._is_for_object = is_for_object

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._is_for_object:
            return
        if not isinstance(error, core.OneRouterError) or type(error) not in _CLASSES:
            return
        if not _is_last_word():
            raise _to_value_error(error) from error.__cause__


def _to_value_error(error: core.OneRouterError) -> core.OneRouterError:
    converted = _CLASSES[type(error)](error.message)
    converted.__dict__.update(error.__dict__)
    return converted


def _is_last_word() -> bool:
    """Return whether a ValueError raised now would become an answer "Empty Response".

    Response synthesizers pass over the ValueErrors of an `output_cls`, also of the last text when
    no earlier one gave an answer (llama-index-core 0.14.25, refine.py, `_update_response`). The
    element parser asks for words then, but only its sync method: the async one takes "Empty
    Response" for the object (base_element.py, `aextract_table_summaries`).
    """
    functions_of_parser = _nested_functions(BaseElementNodeParser.extract_table_summaries)
    frames = [frame for frame, _ in walk_stack(None)]
    owners = [frame.f_locals.get("self") for frame in frames]
    return (
        any(isinstance(owner, DefaultRefineProgram) for owner in owners)
        and all(
            map(
                _has_no_answer,
                (f for f, o in zip(frames, owners, strict=True) if isinstance(o, Refine)),
            )
        )
        and not any(frame.f_code in functions_of_parser for frame in frames)
    )


def _has_no_answer(frame: FrameType) -> bool:
    """Return whether a method of a synthesizer has neither an answer yet nor another text.

    The names are local variables of `Refine._run_refine_loop`; without them there is no answer.
    """
    return frame.f_locals.get("response") is None and not frame.f_locals.get("chunks_deque")


def _nested_functions(method: Any) -> tuple[Any, ...]:
    """Return the constants of a method, which are also the code of the functions in it."""
    code = getattr(unwrap(method), "__code__", None)
    return tuple(getattr(code, "co_consts", ()))
