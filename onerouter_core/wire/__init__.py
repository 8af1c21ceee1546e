"""The wire format, and nothing else: no other room has a JSON key of the API.

`requests` spells a Request as a body, `replies` reads a completion, `events` splits bytes into
events, `stream` turns events into pieces. None of them does any input or output.
"""
