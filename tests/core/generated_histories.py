"""Conversations made up by hypothesis: any roles in any order, as memories may have cut them."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from onerouter_core import Message, Text, ToolCall
from onerouter_core.types import Audio, File, Image, Part, Role, Video
from tests.core.generated import texts, values

_ids = st.sampled_from(["c1", "c2", "c3"])
_arguments = st.dictionaries(texts, values, max_size=2).map(json.dumps) | texts
_words: st.SearchStrategy[Part] = st.builds(Text, texts)
_media: st.SearchStrategy[Part] = st.one_of(
    st.builds(Image, url=texts | st.none(), data=texts | st.none(), media_type=texts | st.none()),
    st.builds(Video, url=texts | st.none(), data=texts | st.none(), media_type=texts | st.none()),
    st.builds(File, url=texts | st.none(), data=texts | st.none(), filename=texts | st.none()),
    st.builds(Audio, texts, texts),
)
_parts = st.lists(st.integers(0, 3).flatmap(lambda n: _words if n else _media), max_size=3)
_calls = st.lists(st.builds(ToolCall, _ids, texts, _arguments, error=st.none() | texts), max_size=3)
_roles: st.SearchStrategy[Role] = st.sampled_from(["system", "developer", "user"])

turns = st.one_of(
    st.builds(Message, _roles, _parts.map(tuple), name=st.none() | texts),
    st.builds(
        Message,
        st.just("assistant"),
        _parts.map(tuple),
        tool_calls=_calls.map(tuple),
        reasoning=st.none() | texts,
        refusal=st.none() | texts,
    ),
    st.builds(Message, st.just("tool"), _parts.map(tuple), tool_call_id=_ids),
)
histories = st.lists(turns, max_size=7).map(tuple)
