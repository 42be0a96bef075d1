"""Canopy, an OAuth2 and OpenID Connect provider that knows organizations, accounts and roles."""
