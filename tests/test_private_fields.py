"""Connection fields fail safe: a new one is neither sent nor shown until it is marked PUBLIC."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onerouter_core import ConnectionFields, RequestFields
from onerouter_simulator import Simulator

ROOT = Path(__file__).parents[1]
PACKAGES = ("onerouter_core", "langchain_onerouter", "llama_index_onerouter")
ANCHOR = "    ledger: Ledger | None = Field(default=None)\n"
NEW_FIELD = '    tenant_token: str | None = Field(default=None)\n    """Token of the tenant."""\n\n'

# Prints every text in which a field of the constructor, or of a call, can be shown.
SCRIPT = """
import json, pickle, sys
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from langchain_onerouter import ChatOneRouter
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index_onerouter import OneRouterLLM

shown = []

class Events(BaseEventHandler):
    def handle(self, event, **kwargs):
        shown.append(repr(event.model_dump()))

class Spans(SimpleSpanHandler):
    def new_span(self, id_, bound_args, *args, **kwargs):
        shown.append(repr(bound_args))
        return super().new_span(id_, bound_args, *args, **kwargs)

class Runs(BaseCallbackHandler):
    def on_chat_model_start(self, serialized, messages, **kwargs):
        shown.append(repr((serialized, kwargs)))

get_dispatcher().add_event_handler(Events())
get_dispatcher().add_span_handler(Spans())
fields = json.loads(sys.argv[1])
value = "sentinel-value"
chat = ChatOneRouter(tenant_token=value, **fields)
llm = OneRouterLLM(tenant_token=value, **fields)
assert chat.tenant_token == llm.tenant_token == value
assert pickle.loads(pickle.dumps(chat)).tenant_token == value
chat.invoke("Hello", tenant_token=value, config={"callbacks": [Runs()]})
llm.chat([ChatMessage("Hello")], tenant_token=value)
shown += [
    repr(chat), str(chat), dumps(chat), repr(chat.model_dump()), repr(chat.model_dump(mode="json")),
    repr(chat._get_invocation_params(tenant_token=value)), chat._get_llm_string(tenant_token=value),
    repr(chat._identifying_params), repr(llm), str(llm), repr(llm.to_dict()), llm.to_json(),
    repr(llm.model_dump()), repr(llm.to_payload()),
]
print(json.dumps(shown))
"""


def run(packages: Path, simulator: Simulator) -> str:
    """Run SCRIPT with the packages of a folder; return everything it printed."""
    fields = f'{{"model": "a/b", "api_key": "{simulator.api_key}", "base_url": '
    done = subprocess.run(  # noqa: S603 -- our own interpreter, our own script
        [sys.executable, "-c", SCRIPT, f'{fields}"{simulator.base_url}"}}'],
        cwd=packages,  # first on the path of `python -c`
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_packages(folder: Path, new_field: str) -> None:
    """Copy the packages, and add a field to ConnectionFields as CONTRIBUTING.md describes."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    path = folder / "onerouter_core" / "fields.py"
    source = path.read_text("utf-8")
    assert source.count(ANCHOR) == 1
    path.write_text(source.replace(ANCHOR, new_field + ANCHOR), "utf-8")


@pytest.mark.parametrize(
    ("new_field", "is_shown"),
    [
        (NEW_FIELD, False),
        (NEW_FIELD.replace("str | None", "Annotated[str | None, PUBLIC]"), True),
    ],
    ids=["private", "public"],
)
def test_a_new_connection_field_is_private(tmp_path: Path, new_field: str, is_shown: bool) -> None:
    """Neither request nor dump, trace, event or cache key holds it, unless it is marked PUBLIC."""
    copy_packages(tmp_path, new_field)
    with Simulator() as simulator:
        shown = run(tmp_path, simulator)
        assert len(simulator.requests) == 2
        for request in simulator.requests:
            assert "sentinel-value" not in f"{request.body} {request.headers}"
    assert ("sentinel-value" in shown) is is_shown


def test_no_field_is_in_both_classes() -> None:
    """Membership decides what is sent, so it must be one or the other."""
    assert not ConnectionFields.model_fields.keys() & RequestFields.model_fields.keys()
