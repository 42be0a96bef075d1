"""Single sign-on that organizations bring with them: their identity providers, and what these say of people.

Owns connections (OIDC and SAML), turning an upstream answer into one `UpstreamIdentity`, finding or creating the
person, and keeping the roles that an assertion grants. Leaves the sign-in around it to `login`, and the rules of
membership and grants to `organizations`. Its doors are its views, where upstream providers answer, and the console.
"""
