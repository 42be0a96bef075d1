"""What any web service needs, and nothing that knows of identity.

Owns time, ids, settings, the database and its one way to write, secrets handed out and secrets sealed, refusals,
jobs, mail, logs, metrics, pages and the way out to other hosts. Leaves every word of the domain to the rooms above,
which all stand on this one: it imports none of them. It has no doors; `idp.app` wires it up.
"""
