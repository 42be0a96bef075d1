"""Keys: what signs, from when to when, and which master keys have sealed something here.

Owns signing keys (one purpose a key), their planned and emergency rotation on several nodes, the published key set,
and re-sealing under a new master key. Leaves sealing itself to `platform.vault`, and what is signed to the rooms
above. Its doors are `idp keys …` and the key set document.
"""
