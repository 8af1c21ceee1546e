"""ChatOneRouter and OneRouterLLM at work, both on one gateway.

With ONEROUTER_API_KEY set this talks to the live gateway (ONEROUTER_MODEL chooses the model);
without it, to a simulator on loopback, whose answers are made by rules and not by a model.
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
from llama_index.core import PromptTemplate, SimpleDirectoryReader
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
SQUARE = (  # a red square of 8 by 8 pixels
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElF"
    "TkSuQmCC"
)
console = Console(markup=False, emoji=False)  # what models say is no markup


class Person(BaseModel):
    """A person in the text."""

    name: str = Field(description="Full name.")
    age: int = Field(description="Age in years.")


def multiply(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b


@contextmanager
def gateway() -> Iterator[dict[str, Any]]:
    """Give what both classes need to reach the gateway: the live one, or the simulator."""
    if "ONEROUTER_API_KEY" in os.environ:
        where = os.environ.get("ONEROUTER_BASE_URL", "the gateway, and cost money")
        console.print(Panel(f"Live: these answers come from {where}."))
        yield {}
    else:
        console.print(Panel("Simulated: these answers are made by rules, not by a model."))
        with Simulator() as simulator:
            yield {"base_url": simulator.base_url, "api_key": simulator.api_key}


def streamed(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Show an answer as it arrives, from either framework."""
    for part in chat.stream("Say in one sentence why streams are pleasant to read."):
        console.print(part.text, end="", style="green")
    console.print("  (LangChain)")
    for response in llm.stream_complete("Say it once more, in other words."):
        console.print(response.delta, end="", style="cyan")
    console.print("  (LlamaIndex)")


def agents(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Let an agent of each framework call a tool."""
    question = "Please multiply 12 and 7."
    state = create_agent(chat, [multiply]).invoke({"messages": [("user", question)]})
    called = [call for message in state["messages"] for call in getattr(message, "tool_calls", [])]
    console.print(f"LangChain called {called[0]['name']}({called[0]['args']})")
    console.print(state["messages"][-1].text, style="green")

    async def ask() -> Any:
        agent = FunctionAgent(tools=[multiply], llm=llm)
        return await agent.run(question, memory=ChatMemoryBuffer.from_defaults(llm=llm))

    answer = asyncio.run(ask())
    console.print(f"LlamaIndex called {answer.tool_calls[0].tool_name}")
    console.print(str(answer), style="cyan")


def objects(chat: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Get a typed object instead of words."""
    text = "'Ada Lovelace' was 36 years old."
    console.print(chat.with_structured_output(Person).invoke(text), style="green")
    prompt = PromptTemplate("Who is in this text? {text}")
    console.print(llm.structured_predict(Person, prompt, text=text), style="cyan")


def documents(_: ChatOneRouter, llm: OneRouterLLM) -> None:
    """Ask this project's own documentation, found by its words."""
    pages = SimpleDirectoryReader(input_files=[HERE.parent / "README.md"]).load_data()
    nodes = MarkdownNodeParser().get_nodes_from_documents(pages)
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=2)
    answer = RetrieverQueryEngine.from_args(retriever, llm=llm).query("What does every error have?")
    console.print(str(answer), style="cyan")
    for source in answer.source_nodes:
        first = source.node.get_content().strip().splitlines()[0]
        console.print(f"  source: {source.node.metadata['file_name']}: {first[:60]}", style="dim")


def picture(chat: ChatOneRouter, _: OneRouterLLM) -> None:
    """Ask about an image."""
    image = {"type": "image", "base64": SQUARE, "mime_type": "image/png"}
    question = {"type": "text", "text": "What colour is this square?"}
    console.print(chat.invoke([HumanMessage([question, image])]).text, style="green")


def failing_over(chat: ChatOneRouter, _: OneRouterLLM) -> None:
    """Ask a model that is down, and be served by the next."""
    answer = chat.invoke("Who serves me?", model="simulated/dead-model", fallback_models=[MODEL])
    served = answer.response_metadata["model_name"]
    console.print(f"asked simulated/dead-model, served by {served}: {answer.text}", style="green")


def cut_short(*_: Any) -> None:
    """See a stream break off: an error with what came, not half an answer. Always simulated."""
    with Simulator() as simulator:
        simulator.script(Script(events=[chunk({"content": "The answer is forty-"})], end="cut"))
        chat = ChatOneRouter(model=MODEL, base_url=simulator.base_url, api_key=simulator.api_key)
        try:
            for part in chat.stream("What is the answer?"):
                console.print(part.text, end="", style="green")
        except OneRouterError as error:
            console.print(f"\n{type(error).__name__}: {error}", style="red")
            console.print(f"what came so far: {error.partial.text!r}", style="dim")


SCENES: dict[str, Callable[[ChatOneRouter, OneRouterLLM], None]] = {
    "Answers that stream": streamed,
    "Agents that call a tool": agents,
    "Objects instead of words": objects,
    "A query engine over README.md": documents,
    "A question about an image": picture,
    "A model that is down, and its fallback": failing_over,
    "A stream that is cut": cut_short,
}


def bill(ledger: Ledger, scenes: list[tuple[str, int, int]]) -> Table:
    """Return what each scene cost; a scene is a name and the ledger's entries it made."""
    table = Table("scene", "calls", "tokens in", "tokens out", "USD", "seconds", title="The bill")
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
    """Show all scenes, then the bill."""
    ledger, scenes = Ledger(), []
    with gateway() as where:
        chat = ChatOneRouter(model=MODEL, ledger=ledger, **where)
        llm = OneRouterLLM(model=MODEL, ledger=ledger, **where)
        for name, show in SCENES.items():
            console.print(Rule(name, align="left"))
            before = len(ledger.entries)
            try:
                show(chat, llm)
            except OneRouterError as error:  # live, the model may not know images, say
                console.print(f"{type(error).__name__}: {error}", style="red")
            scenes.append((name, before, len(ledger.entries)))
    console.print(bill(ledger, scenes))


if __name__ == "__main__":
    main()
