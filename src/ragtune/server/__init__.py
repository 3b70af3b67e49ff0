"""The server: HTTP, OpenAI-compatible and MCP interfaces over one workspace.

Every path is the same four steps: who asks (`access`), what they may see (`scope`), when it may
run (`work`), and the library call that the command line makes too. Nothing here knows how to
search or to answer. Starlette and FastAPI are imported at the top of these modules; only
`cli_serve` imports them, inside its command.
"""
