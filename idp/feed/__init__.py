"""What was taken away: the change feed, by which a service refuses a superseded token within a second.

Owns the losses that a transaction collects, their positions in commit order, and the follower that keeps the window
in memory. Leaves it to each rule to say what it takes away (`losses.record`), and the HTTP side to `oauth`. Gains are
never written: they come with the next token.
"""
