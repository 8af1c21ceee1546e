"""Documents in, objects out: forms on which the gateway's pages do not agree."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer

WORD = "heliotrope"


def pdf(words: str) -> bytes:
    """Return a document of one page with a line of text."""
    text = f"BT /F1 24 Tf 72 720 Td ({words}) Tj ET"
    page = "/Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< {page} /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    document, offsets = "%PDF-1.4\n", []
    for number, thing in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n{thing}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    end = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(document)}\n%%EOF\n"
    return f"{document}xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode()


ENCODED = base64.b64encode(pdf(f"The password is {WORD}.")).decode()
FORMS = {
    "data": {"data": ENCODED, "media_type": "application/pdf", "filename": "note.pdf"},
    "file_data": {
        "filename": "note.pdf",
        "file_data": f"data:application/pdf;base64,{ENCODED}",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_documents(question: Question, form: str) -> None:
    """Which form of a document works?"""
    model = question.gateway.model_that_takes("file")
    asked = {"type": "text", "text": "What is the password in the document? Answer with one word."}
    parts = [asked, {"type": "file", "file": FORMS[form]}]
    answer = question.gateway.ask([{"role": "user", "content": parts}], model=model)
    read = WORD in answer.text.lower()
    taken = "works" if read else "taken, not read" if answer.is_taken else "refused"
    question.settle(f"a PDF as {form}, to {model}", answer, taken)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
NAMED = {"name": "city", "schema": SCHEMA}
FORMATS: dict[str, dict[str, Any]] = {
    "json, legacy": {"type": "json"},
    "json, legacy, with a schema": {"type": "json"} | NAMED,
    "json_object": {"type": "json_object"},
    "json_schema": {"type": "json_schema", "json_schema": NAMED | {"strict": True}},
}


@pytest.mark.parametrize("name", FORMATS)
def test_objects(question: Question, name: str) -> None:
    """Which response formats work?"""
    asked = "In which city is the Eiffel Tower, and how many people live there? Answer as JSON."
    answer = question.gateway.ask(asked, response_format=FORMATS[name])
    question.settle(name, answer, fits(answer))


def fits(answer: Answer) -> str:
    """Say whether an answer is JSON, and by the schema."""
    if not answer.is_taken:
        return "refused"
    try:
        value = json.loads(answer.message.get("content") or "")
    except ValueError:
        return "taken, but no JSON"
    by_schema = isinstance(value, dict) and set(value) == set(SCHEMA["properties"])
    return "works, by the schema" if by_schema else "works, JSON of another shape"
