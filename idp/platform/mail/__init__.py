"""Mail: letters of the outbox become messages and leave, by SMTP or into a directory.

Owns how letters look (`rendering`), what becomes of text that people wrote (`foreign_text`), and the ways out (`smtp`,
`folder`). Leaves what is said to `templates/mail`, and when to post a letter to the rooms above.
"""
