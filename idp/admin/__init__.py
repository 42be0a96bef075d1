"""The console, for administrators of an organization and for operators.

A door: it parses what a person typed, calls one rule, and shows the answer. It owns pages and forms, and no rule and
no table: everything that is decided here is decided in a room below.
"""
