"""The authorization server: OAuth 2 and OpenID Connect.

Owns requests, authorizations, codes and tokens, the order in which each endpoint checks, client authentication, proof
of possession, consent, and the documents that describe all this. Leaves who is at the browser to `login`, who may
what to `organizations`, and signing to `keys`. Its doors are its views.
"""
