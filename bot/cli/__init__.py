"""The command line: options and printing; `bot.verbs` does the work."""
