"""Webhooks: telling an organization's own systems what happened.

Owns subscriptions, delivery with retries, and shared signals, all by following the audit trail in its sealed order.
Leaves saying what happened to the rules that wrote the entries. Its doors are the console and the API.
"""
