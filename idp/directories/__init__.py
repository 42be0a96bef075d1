"""Directories: what an organization's own directory says about its people, by SCIM.

Owns directories, their tokens, the log of what was asked, and the mapping of groups to teams and roles. Leaves the
protocol to the `scim` door, and the rules of membership to `organizations`. Its doors are `scim` and `idp directory
…`.
"""
