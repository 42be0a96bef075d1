"""Notices: mails that follow the audit trail, such as a new sign-in or a changed password.

Owns which event is told to whom, and the words. Leaves sending to `platform.mail`; mails that carry a link are jobs
written with the change that made the link, by the room of that change. It has no doors.
"""
