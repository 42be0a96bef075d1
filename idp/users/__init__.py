"""People: who they are, how they are addressed, whether they may do anything at all, and who of them runs the house.

Owns users, their e-mail addresses, their disablements, and operators. How people and addresses are compared is said
in `names` alone. Leaves to others: what people prove themselves with (`credentials`), where they belong
(`organizations`; the question whether a domain manages an address is handed down from there). Its doors are
`idp user …` and `idp operator …`, and later the consoles, `me` and SCIM.
"""
