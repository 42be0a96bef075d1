"""Self-service: what people see and change about themselves.

A door: profile, security, sessions and connected applications of whoever is signed in. It owns pages and forms,
and no rule and no table.
"""
