"""An MCP server over stdio, with one tool."""

from __future__ import annotations

from mcp.server.fastmcp import FastMCP

server = FastMCP("weather")


@server.tool()
def forecast(city: str) -> str:
    """Forecast the weather of a city."""
    return f"rain in {city}"


if __name__ == "__main__":
    server.run()
