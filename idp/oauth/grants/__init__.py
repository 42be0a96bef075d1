"""Grants: what may be presented at the token endpoint, one module a grant type. Each only proves an authorization."""
