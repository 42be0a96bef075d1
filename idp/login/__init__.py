"""Signing in: who is at the browser, and which proof is still missing.

Owns the attempt, the demands made of it, and the order of its steps, decided by one pure function. Leaves checking a
proof to `credentials` and `sso`, and the session that results to `sessions`; it never learns for whose sake somebody
signs in. Its doors are its views.
"""
