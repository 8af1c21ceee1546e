"""Hypothesis strategies for histories in the message types of both frameworks, valid or not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from langchain_core import messages as lc
from llama_index.core.base.llms import types as li

from tests.core.generated import texts, values

_ids = st.sampled_from(["c1", "c2", "c3"])
_names = texts | st.sampled_from(["f", "math.add", "\ud800"])
_urls = st.sampled_from(["https://x.test/a.png", "data:image/png;base64,AA==", "data:,"])
_types = st.none() | st.sampled_from(["image/png", "audio/wav", "application/pdf", "x"])
_payloads = st.sampled_from([b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WAVEfmt ", b"%PDF-1.4", b"x", b""])


_wrong_types = st.sampled_from(
    [None, 0, 1.5, True, "", "x", [], ["x"], [None], {}, {"type": "text"}]
)


def _objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of these keys; one value in seven has a wrong type."""
    optional = {key: st.one_of([usual] * 6 + [_wrong_types]) for key, usual in fields.items()}
    return st.fixed_dictionaries({}, optional=optional)


# --- LangChain ---

_nested = _objects(
    url=_urls, data=texts, format=texts, media_type=_types, file_data=_urls, filename=texts,
    type=st.sampled_from(["base64", "url", "text", "x"]), detail=texts,
)  # fmt: skip
_blocks = texts | _objects(
    type=st.sampled_from(
        [
            *("text", "image", "image_url", "input_audio", "audio", "video", "video_url", "file"),
            *("document", "text-plain", "tool_use", "tool_call", "reasoning", "thinking"),
            *("refusal", "non_standard", "input_json_delta", "x"),
        ]
    ),
    text=texts, url=_urls, base64=texts, data=texts, mime_type=_types, refusal=texts,
    image_url=_urls | _nested, input_audio=_nested, video_url=_urls | _nested, file=_nested,
    source=_nested, value=_nested, metadata=_nested, extras=_nested,
    cache_control=st.just({"type": "ephemeral"}) | _objects(type=texts, ttl=texts),
)  # fmt: skip
_content = texts | st.lists(_blocks, max_size=3)
_arguments = st.dictionaries(texts, values, max_size=2)
_lc_calls = st.fixed_dictionaries({"name": _names, "args": _arguments, "id": st.none() | _ids})
_lc_bad_calls = st.fixed_dictionaries(
    {"name": st.none() | _names, "args": st.none() | texts, "id": st.none() | _ids}
    | {"error": st.none() | texts}
)
_lc_additional_kwargs = _objects(
    reasoning_content=texts,
    reasoning_details=st.lists(st.dictionaries(texts, values, max_size=2), max_size=2),
    refusal=texts,
)
_response_metadata = _objects(model_provider=st.just("onerouter") | texts, model_name=texts)
langchain_histories = st.lists(
    st.one_of(
        st.builds(lc.HumanMessage, _content, name=st.none() | texts),
        st.builds(lc.SystemMessage, _content),
        st.builds(lc.ToolMessage, _content, tool_call_id=texts | _ids),
        st.builds(lc.ChatMessage, _content, role=st.sampled_from(["user", "tool", "critic"])),
        st.builds(lc.FunctionMessage, _content, name=texts),
        st.builds(
            lc.AIMessage,
            _content,
            tool_calls=st.lists(_lc_calls, max_size=2),
            invalid_tool_calls=st.lists(_lc_bad_calls, max_size=1),
            additional_kwargs=_lc_additional_kwargs,
            response_metadata=_response_metadata,
        ),
    ),
    max_size=4,
)

# --- LlamaIndex ---


def _media_blocks(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return blocks with some of these fields; some versions of LlamaIndex reject None in them."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: kind(**values))


_text_blocks = st.builds(li.TextBlock, text=texts)
_images = _media_blocks(li.ImageBlock, image=_payloads, url=_urls, image_mimetype=_types)
_li_blocks = st.one_of(
    _text_blocks,
    _text_blocks,
    _images,
    _media_blocks(li.DocumentBlock, data=_payloads, url=_urls, document_mimetype=_types),
    _media_blocks(li.AudioBlock, audio=_payloads, url=_urls, format=_types),
    _media_blocks(li.VideoBlock, video=_payloads, url=_urls),
    st.builds(li.CachePoint, cache_control=st.builds(li.CacheControl, type=texts, ttl=texts)),
    st.builds(li.CitableBlock, title=texts, source=texts, content=st.lists(_text_blocks | _images)),
    st.builds(
        li.ThinkingBlock,
        content=st.none() | texts,
        additional_information=_objects(
            model=texts, reasoning_details=st.lists(st.dictionaries(texts, values, max_size=2))
        ),
    ),
    st.builds(
        li.ToolCallBlock,
        tool_call_id=st.none() | _ids,
        tool_name=_names,
        tool_kwargs=_arguments | texts,
    ),
)
_raw_calls = _objects(
    id=_ids, type=texts, function=_objects(name=_names, arguments=texts | _arguments)
)
_additional_kwargs = _objects(
    tool_call_id=_ids, name=texts, refusal=texts, tool_calls=st.lists(_raw_calls, max_size=2)
)
llama_index_histories = st.lists(
    st.builds(
        li.ChatMessage,
        role=st.sampled_from(li.MessageRole),
        blocks=st.lists(_li_blocks, max_size=3),
        additional_kwargs=_additional_kwargs,
    ),
    max_size=4,
)
