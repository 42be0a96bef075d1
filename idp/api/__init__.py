"""The management API: what the console can do, for programs.

A door: it owns how an operation is declared (the permission it needs, what it takes and returns), the OpenAPI
document that follows from that, and problem documents. It owns no rule and no table.
"""
