"""Self-service: what people see and change about themselves.

A door: profile, security, sessions, applications and organizations of whoever is signed in. It owns pages and forms,
and no rule and no table.
"""
