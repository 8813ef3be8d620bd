"""The whole thing on one machine: a loopback network, the real daemon, and what came of it.

The daemon is the one that `tagecho run` starts, in a process of its own, with its own config file;
the network is another process. What is reported about replies is counted by the network.
"""
