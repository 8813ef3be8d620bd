"""Who may ask for what.

guard.py      before everything: the host, the origin, the headers of every answer
roles.py      who asks, and what that role may do: the one rule for all routes
sessions.py   sessions of browsers, kept as hashes, in memory
attempts.py   passwords that were wrong, by address: the next try waits
actions.py    what a person did goes into the log, with who it was and what became of it
"""
