"""Signing in: who is at the browser, and which proof is still missing.

Owns the attempt, the demands made of it, and the order of its steps, decided by one pure function; and what a person
may take away of what they prove themselves with, and who has to have proven what before. Leaves checking a proof to
`credentials` and `sso`, and the session that results to `sessions`; it never learns for whose sake somebody
signs in. Its doors are its views.
"""
