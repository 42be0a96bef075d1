"""Clients and APIs: who asks for tokens, and whom tokens are for.

Owns relying parties and machines with their secrets and metadata, where a client is usable, and APIs with the
permissions and scopes that they declare. Leaves the roles of a machine to `organizations`, and every protocol to
`oauth`. Its doors are `idp client …`, `idp api …`, the consoles and dynamic registration.
"""
