"""What the provider costs: `./run bench` prints tables and asserts nothing.

A real `idp serve` answers, load comes from this process over HTTP, and whatever only an application can do (take a role
away, issue a token) is done by a process beside it, as another node would. `docs/performance.md` says how to read it.
"""
