#!/usr/bin/env bash
# llama-index-core 0.14.25: FunctionAgent sends the results of one answer's tools to the model in the
# order in which the tools have ended, and not in that of the calls.
#
# Tools that are plain functions run in threads at the same time, so the messages of the next request
# differ from run to run: recorded answers do not fit, a prompt cache is not read, and a test that
# compares messages fails now and then.
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check llama-index-core==0.14.25

env/bin/python -W ignore - <<'PYTHON'
import asyncio
import sys
import time
from importlib.metadata import version

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool

SEEN = []


def slow() -> str:
    """Take a while."""
    time.sleep(0.5)
    return "of the first call"


def fast() -> str:
    """Take no time."""
    return "of the second call"


class TwoCalls(FunctionCallingLLM):
    """Calls both tools at once, then answers."""

    @property
    def metadata(self):
        return LLMMetadata(is_function_calling_model=True)

    def _prepare_chat_with_tools(self, tools, user_msg=None, chat_history=None, **options):
        return {"messages": chat_history or []}

    async def achat(self, messages, **options):
        results = [m.content for m in messages if m.role.value == "tool"]
        SEEN[:] = results
        return ChatResponse(message=ChatMessage("Done." if results else "", role="assistant"))

    def get_tool_calls_from_response(self, response, error_on_no_tool_call=True, **options):
        names = () if response.message.content else ("slow", "fast")
        return [ToolSelection(tool_id=name, tool_name=name, tool_kwargs={}) for name in names]

    def chat(self, *_, **__):
        raise NotImplementedError

    stream_chat = complete = stream_complete = acomplete = chat
    astream_chat = astream_complete = chat


async def main():
    tools = [FunctionTool.from_defaults(fn) for fn in (slow, fast)]
    await FunctionAgent(tools=tools, llm=TwoCalls(), streaming=False).run("x")


asyncio.run(main())
print(f"llama-index-core {version('llama-index-core')}")
print("calls in the answer: slow, fast; results in the next request:", SEEN)
if SEEN != ["of the second call", "of the first call"]:
    sys.exit("CHANGED: the results are in the order of the calls.")
PYTHON
