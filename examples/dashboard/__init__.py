"""Ledger: an application that signs people in with Canopy and works for one of their accounts at a time.

It owns what a relying party has to do: send people to the provider and take them back, keep their tokens on the server,
renew them, move among organizations and accounts, and bear it when something was taken away. It leaves every decision
to the provider and to the API that it calls (`examples.payments`). Flask and Authlib, nothing of ours; it works without
scripts. Start reading at `pages`, start it with `python -m examples.dashboard`.
"""
