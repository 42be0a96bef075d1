"""The SCIM 2.0 door: what directories of organizations speak to.

A door: it owns the protocol, the mapping of SCIM resources to our values, and the answers. Which directory asks, and
what it may do, is decided in `directories`; what happens to people and teams, in `users` and `organizations`.
"""
