"""Credentials: what a person proves themselves with.

Owns passwords, passkeys, authenticator apps and recovery codes: enrolment, verification, single use, and hashing
behind its gate. Leaves which proof is asked for, in which order, to `login`, and remembering that it was
given to `sessions`. Its doors are `idp user set-password|reset-mfa`, the sign-in pages and self-service.
"""
