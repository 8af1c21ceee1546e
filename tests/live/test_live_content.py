"""Documents and response formats, on which the pages of the gateway do not agree."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.live.conftest import Question
from tests.live.gateway import Answer, check_decoded

PASSWORD = "heliotrope"


def pdf(line: str) -> bytes:
    """Return a PDF document of one page with one line of text."""
    text = f"BT /F1 24 Tf 72 720 Td ({line}) Tj ET"
    page = "/Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< {page} /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    document, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(document)}\n%%EOF\n"
    return f"{document}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


PDF_BASE64 = base64.b64encode(pdf(f"The password is {PASSWORD}.")).decode()
FILE_FORMS = {
    "data": {"data": PDF_BASE64, "media_type": "application/pdf", "filename": "note.pdf"},
    "file_data": {
        "filename": "note.pdf",
        "file_data": f"data:application/pdf;base64,{PDF_BASE64}",
    },
}


@pytest.mark.parametrize("form", FILE_FORMS)
def test_file_forms(question: Question, form: str) -> None:
    """Which form of a document works?"""
    model = question.gateway.model_with_input("file")
    text = "What is the password in the document? Answer with one word."
    parts = [{"type": "text", "text": text}, {"type": "file", "file": FILE_FORMS[form]}]
    answer = question.gateway.ask([{"role": "user", "content": parts}], model=model)
    if PASSWORD in answer.text.lower():
        verdict = "works"
    else:
        verdict = "accepted, not read" if answer.is_accepted else "rejected"
    question.settle(f"a PDF as {form}, to {model}", answer, verdict)
    check_decoded(answer)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
NAMED_SCHEMA = {"name": "city", "schema": SCHEMA}
RESPONSE_FORMATS: dict[str, dict[str, Any]] = {
    "json, legacy": {"type": "json"},
    "json, legacy, with a schema": {"type": "json"} | NAMED_SCHEMA,
    "json_object": {"type": "json_object"},
    "json_schema": {"type": "json_schema", "json_schema": NAMED_SCHEMA | {"strict": True}},
}


@pytest.mark.parametrize("name", RESPONSE_FORMATS)
def test_response_formats(question: Question, name: str) -> None:
    """Which response formats work?"""
    prompt = "In which city is the Eiffel Tower, and how many people live there? Answer as JSON."
    answer = question.gateway.ask(prompt, response_format=RESPONSE_FORMATS[name])
    question.settle(name, answer, describe_json(answer))
    check_decoded(answer)


def describe_json(answer: Answer) -> str:
    """Return a verdict: whether the content is JSON, and whether it has the keys of the schema."""
    if not answer.is_accepted:
        return "rejected"
    try:
        value = json.loads(answer.message.get("content") or "")
    except ValueError:
        return "accepted, but the content is not JSON"
    has_keys = isinstance(value, dict) and set(value) == set(SCHEMA["properties"])
    return "works, by the schema" if has_keys else "works, JSON with other keys"
