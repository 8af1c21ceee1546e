"""Content blocks as users write them, and messages and parts as a request body has them."""

from __future__ import annotations

from typing import Any

from langchain_onerouter import ChatOneRouter
from onerouter_simulator import Script, Simulator, completion
from tests.langchain.media import PDF_64, PNG_64, WAV_64

URL = "https://example.com/it"
PNG_URL = f"data:image/png;base64,{PNG_64}"
EPHEMERAL = {"type": "ephemeral"}
OUR_METADATA = {"model_provider": "onerouter"}
PDF_MIME = {"mime_type": "application/pdf"}


def image_part(url: str, **fields: Any) -> dict[str, Any]:
    """Return an image part of the API."""
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def file_part(name: str = "document.pdf") -> dict[str, Any]:
    """Return a file part of the API with the PDF's data."""
    file_fields = {"data": PDF_64, "media_type": "application/pdf", "filename": name}
    return {"type": "file", "file": file_fields}


def linked_file_part(name: str) -> dict[str, Any]:
    """Return a file part of the API with a URL."""
    return {"type": "file", "file": {"filename": name, "file_data": URL}}


def audio_part(audio_format: str = "wav") -> dict[str, Any]:
    """Return an audio part of the API."""
    return {"type": "input_audio", "input_audio": {"data": WAV_64, "format": audio_format}}


def with_cache_control(part: dict[str, Any], **ttl: str) -> dict[str, Any]:
    """Return a part with a cache breakpoint."""
    return {**part, "cache_control": {**EPHEMERAL, **ttl}}


def text_part(text: str) -> dict[str, Any]:
    """Return a text part of the API."""
    return {"type": "text", "text": text}


def block(block_type: str, **fields: Any) -> dict[str, Any]:
    """Return a content block."""
    return {"type": block_type, **fields}


def sent_messages(llm: ChatOneRouter, sim: Simulator, *messages: Any) -> list[dict[str, Any]]:
    """Send messages, and return those of the request body."""
    sim.script(Script(json=completion()))
    llm.invoke(list(messages))
    return sim.last.body["messages"]


def wire_call(arguments: str, name: str = "f", call_id: str = "c") -> dict[str, Any]:
    """Return a tool call as the request body has it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}
