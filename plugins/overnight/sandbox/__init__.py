"""The local vendor: one HTTP server, in its own process, that speaks the batch APIs of Anthropic, OpenAI and Gemini.

For rehearsal, tests and benchmarks without a key. The official SDKs, pointed at it by a connection's host, cannot tell.
No other room may import this one: our code meets it over HTTP only, like the real vendors.
"""
