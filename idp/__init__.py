"""Canopy, an OAuth2 and OpenID Connect provider that knows organizations, accounts and roles.

A house of rooms, one folder a subject; a room imports only from the tiers below it (`docs/architecture.md`), and only
`idp.app` knows them all. Doors (`admin`, `me`, `api`, `scim`, `cli` and the views of rooms) are how the world gets in.
"""
