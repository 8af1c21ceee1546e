"""Output of structured output with `include_raw=True`: message, object and parsing error."""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, WithJsonSchema, create_model

from langchain_onerouter.object_parser import ObjectParser


class RawOutputParser(BaseOutputParser[dict[str, Any]]):
    """Parser that returns {"raw", "parsed", "parsing_error"}, and raises nothing.

    Of a stream it parses the sum, so that a stream ends with what `invoke` returns. (A fallback of
    LangChain catches only an error before the first output: the message itself is one.)
    """

    parser: ObjectParser
    """Parser of the object."""

    def parse(self, text: str) -> dict[str, Any]:
        """Return the output for a text."""
        return self._to_output(AIMessage(text))

    def parse_result(
        self,
        result: list[Generation],
        *,
        partial: bool = False,  # noqa: ARG002 -- langchain-core's signature
    ) -> dict[str, Any]:
        """Return the output for the first generation."""
        first = result[0]
        return (
            self._to_output(first.message)
            if isinstance(first, ChatGeneration)
            else self.parse(first.text)
        )

    def _to_output(self, message: BaseMessage) -> dict[str, Any]:
        try:
            parsed = self.parser.parse_result([ChatGeneration(message=message)])
        except Exception as error:  # noqa: BLE001 -- a validator of the user may raise anything
            return {"raw": message, "parsed": None, "parsing_error": error}
        return {"raw": message, "parsed": parsed, "parsing_error": None}

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """Return a pydantic class of the output."""
        del config
        parsed: Any = self.parser.OutputType | None
        error = Annotated[Any, WithJsonSchema({"type": "string"})]
        return create_model(
            "StructuredOutput",
            raw=(AIMessage, ...),
            parsed=(parsed, None),
            parsing_error=(error, None),
        )
