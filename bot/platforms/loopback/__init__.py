"""What the loopback networks have in common; each is a process of its own."""
