"""Demo of ChatOneRouter and OneRouterLLM, both on one gateway.

With ONEROUTER_API_KEY set it calls the live gateway (ONEROUTER_MODEL selects the model). Without
it, it calls a simulator on loopback, whose answers come from rules and not from a model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from llama_index.core import Document, PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel, Field
from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table

from langchain_onerouter import ChatOneRouter
from llama_index_onerouter import OneRouterLLM
from onerouter_core import Ledger, OneRouterError
from onerouter_simulator import Script, Simulator, chunk

HERE = Path(__file__).parent
MODEL = os.environ.get("ONEROUTER_MODEL", "deepseek/deepseek-v4-flash")
CHUNK_DELAY = 0.05  # seconds: slow enough to see that the answers stream
SQUARE = (  # a red square of 8 by 8 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVO"
    "RK5CYII="
)
console = Console(markup=False, emoji=False)  # the text of models must not be read as rich markup


class Person(BaseModel):
    """A person in the text."""

    name: str = Field(description="Full name.")
    age: int = Field(description="Age in years.")


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


@contextmanager
def gateway() -> Iterator[dict[str, Any]]:
    """Yield the connection fields of both classes: for the live gateway, or for a simulator."""
    if "ONEROUTER_API_KEY" in os.environ:
        source = os.environ.get("ONEROUTER_BASE_URL", "the gateway, and cost money")
        console.print(Panel(f"Live: these answers come from {source}."))
        yield {}
    else:
        console.print(Panel("Simulated: these answers come from rules, not from a model."))
        with Simulator(delay=CHUNK_DELAY) as simulator:
            yield {"base_url": simulator.base_url, "api_key": simulator.api_key}


def show_streams(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Print an answer as it arrives, in each framework."""
    for message in chat.stream("Explain in one sentence why streaming is useful."):
        console.print(message.text, end="", style="green")
    console.print("  (LangChain)")
    for response in llm.stream_complete("Say it in one short sentence."):
        console.print(response.delta, end="", style="cyan")
    console.print("  (LlamaIndex)")


def show_agents(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Run an agent of each framework that calls a tool."""
    question = "Please multiply 12 and 7."
    state = create_agent(chat, [multiply]).invoke({"messages": [("user", question)]})
    calls = [call for message in state["messages"] for call in getattr(message, "tool_calls", [])]
    console.print(f"LangChain called {calls[0]['name']}({calls[0]['args']})")
    console.print(state["messages"][-1].text, style="green")

    async def run_agent() -> Any:
        agent = FunctionAgent(tools=[multiply], llm=llm)
        return await agent.run(question, memory=ChatMemoryBuffer.from_defaults(llm=llm))

    answer = asyncio.run(run_agent())
    console.print(f"LlamaIndex called {answer.tool_calls[0].tool_name}")
    console.print(str(answer), style="cyan")


def show_structured_output(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Get an answer as an instance of a pydantic class."""
    text = "'Ada Lovelace' was 36 years old."
    console.print(chat.with_structured_output(Person).invoke(text), style="green")
    prompt = PromptTemplate("Who is in this text? {text}")
    console.print(llm.structured_predict(Person, prompt, text=text), style="cyan")


def show_query_engine(_: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Answer a question from this project's README, with BM25 retrieval."""
    # Not SimpleDirectoryReader: it adds the path to the prompt, so that the tokens depend on it.
    text = (HERE.parent / "README.md").read_text("utf-8")
    page = Document(text=text, metadata={"file_name": "README.md"})
    nodes = MarkdownNodeParser().get_nodes_from_documents([page])
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=2)
    answer = RetrieverQueryEngine.from_args(retriever, llm=llm).query("What does every error have?")
    console.print(str(answer), style="cyan")
    for source in answer.source_nodes:
        first_line = source.node.get_content().strip().splitlines()[0]
        console.print(
            f"  source: {source.node.metadata['file_name']}: {first_line[:60]}", style="dim"
        )


def show_image_input(chat: ChatOneRouter, _: OneRouterLLM) -> None:
    """Ask a question about an image."""
    image = {"type": "image", "base64": SQUARE, "mime_type": "image/png"}
    question = {"type": "text", "text": "What colour is this square?"}
    console.print(chat.invoke([HumanMessage([question, image])]).text, style="green")


def show_fallback(chat: ChatOneRouter, _: OneRouterLLM) -> None:
    """Call a model that is down: the gateway uses the next one."""
    answer = chat.invoke(
        "Which model answers?", model="simulated/dead-model", fallback_models=[MODEL]
    )
    model = answer.response_metadata["model_name"]
    console.print(
        f"requested simulated/dead-model, served by {model}: {answer.text}", style="green"
    )


def show_incomplete_stream(*_: Any) -> None:
    """Show the error of a stream that breaks off, with the partial text. Always simulated."""
    with Simulator() as simulator:
        simulator.script(Script(events=[chunk({"content": "The answer is forty-"})], end="cut"))
        chat = ChatOneRouter(model=MODEL, base_url=simulator.base_url, api_key=simulator.api_key)
        try:
            for message in chat.stream("What is the answer?"):
                console.print(message.text, end="", style="green")
        except OneRouterError as error:
            console.print(f"\n{type(error).__name__}: {error}", style="red")
            console.print(f"partial text: {error.partial.text!r}", style="dim")


SCENES: dict[str, Callable[[ChatOneRouter, OneRouterLLM], None]] = {
    "Streamed answers": show_streams,
    "Agents that call a tool": show_agents,
    "Structured output": show_structured_output,
    "A query engine over README.md": show_query_engine,
    "A question about an image": show_image_input,
    "A model that is down, and its fallback": show_fallback,
    "A stream that breaks off": show_incomplete_stream,
}


def cost_table(ledger: Ledger, scenes: list[tuple[str, int, int]]) -> Table:
    """Return the costs as a table.

    A scene is a name and the range of its ledger entries: the first index, and the one after the
    last.
    """
    table = Table("scene", "calls", "tokens in", "tokens out", "USD", "seconds", title="Costs")
    for name, begin, end in [*scenes, ("all", 0, len(ledger.entries))]:
        entries = ledger.entries[begin:end]
        table.add_row(
            name,
            str(len(entries)),
            str(sum(entry.input_tokens for entry in entries)),
            str(sum(entry.output_tokens for entry in entries)),
            f"{sum(entry.cost or 0 for entry in entries):.6f}",
            f"{sum(entry.seconds for entry in entries):.2f}",
            end_section=name == scenes[-1][0],
        )
    return table


def main() -> None:
    """Run all scenes, then print the costs."""
    ledger, scenes = Ledger(), []
    with gateway() as connection:
        chat = ChatOneRouter(model=MODEL, ledger=ledger, **connection)
        llm = OneRouterLLM(model=MODEL, ledger=ledger, **connection)
        for name, show in SCENES.items():
            console.print(Rule(name, align="left"))
            before = len(ledger.entries)
            try:
                show(chat, llm)
            except OneRouterError as error:  # for example, a live model without image input
                console.print(f"{type(error).__name__}: {error}", style="red")
            scenes.append((name, before, len(ledger.entries)))
    console.print(cost_table(ledger, scenes))
    console.print(Panel(NEXT_STEPS, title="What to do next"))


NEXT_STEPS = """\
Read the code: examples/demo.py. The pages: docs/index.md; notebooks: notebooks/.
Live answers: set ONEROUTER_API_KEY, and run `make demo` again.
Your own program against the simulator: python -m onerouter_simulator"""


if __name__ == "__main__":
    main()
