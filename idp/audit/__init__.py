"""What happened: the vocabulary of events, the trail, the chain that seals it.

Owns the entries, the erasable details beside them, sealing, searching, export and verification. Stands low so that
every rule can write here; knows people, clients and objects by their ids alone, and leaves it to each rule to say
what was before and after. Its doors are `idp audit export|verify` and the pages that show the trail.
"""
