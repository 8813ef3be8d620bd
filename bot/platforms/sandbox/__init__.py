"""A loopback Instagram: what the demo, the rehearsal and the tests talk to.

`server.Sandbox` runs it inside a process, `python -m bot.platforms.sandbox` in its own.
"""
