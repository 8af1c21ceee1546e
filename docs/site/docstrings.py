"""What the reference shows differently from the source.

The `>>>` lines of docstrings are code, not quotations. Names of types that only this package knows
are written out.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_TYPES = {  # aliases of onerouter_core.fields and request_options
    "ApiKeyOrStr": "str | ApiKey",
    "FallbackRulesOrDict": "FallbackRules | Mapping[str, Any]",
    "HeaderValue": "str | SecretStr",
    "Penalty": "float",
    "ProviderRoutingOrDict": "ProviderRouting | Mapping[str, Any]",
    "ReasoningOrDict": "Reasoning | Mapping[str, Any]",
    "ResponseFormatOrClass": "JsonSchema | type | str | dict[str, Any]",
    "RuleOrDict": "FallbackRule | Mapping[str, Any]",
    "Seconds": "float",
    "UnitInterval": "float",
    "WebSearchOrDict": "WebSearchOptions | Mapping[str, Any]",
}
_ALIAS = re.compile(rf"\b(?:{'|'.join(_TYPES)})\b")
_EXAMPLE = re.compile(r"^>>> .*(?:\n>>> .*)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Puts fences around examples."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of anything that has one."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Write out the types of a field."""
        written = str(attr.annotation or "")
        if _ALIAS.search(written):
            attr.annotation = _ALIAS.sub(lambda alias: _TYPES[alias[0]], written)
