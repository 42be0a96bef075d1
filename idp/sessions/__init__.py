"""Sessions: that somebody has proven who they are, in which browser, and until when.

Owns browser sessions and their proofs, devices, and ending them. Leaves proving to `credentials` and `login`, cookies
to `platform.cookies`, and what a session may be used for to whoever asks it. Its doors are `idp session …`, sign-out
and self-service.
"""
