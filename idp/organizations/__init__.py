"""Organizations: accounts, people in them, teams, roles and grants, and the one answer to "who may what".

Owns every edge that decides access, with its history; who may change whose roles; ownership and succession; moves and
suspension; invitations, domains and policies; `effective` and `explain`, which tokens, pages and commands all ask.
Leaves who a person is to `users` and what a client is to `clients`. Its doors are `idp org|account|…`, `idp apply`,
`idp why`, the consoles and the API.
"""
