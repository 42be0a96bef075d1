"""A small Stripe-style API: balance, charges, refunds and payouts of the accounts of businesses, live and sandbox.

It shows how a service decides by the access tokens of Canopy: `app.py` has one line a route for it, and nothing else in
here knows about tokens. It owns the money, in memory; who may do what with it is the provider's to know. Its door is
`python -m examples.payments`.
"""
