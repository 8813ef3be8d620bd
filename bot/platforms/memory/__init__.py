"""A platform that lives in this process: for tests, ours and those of whoever builds on this.

Its ids are no numbers, its limits and its canvas are its own, it has one mode (a threaded reply,
written under a key that is fixed before), it streams, and it fails on demand:

    from bot.platforms.memory.network import Fault, network_of
    network = network_of("home.example")
    network.join("ana")
    post = network.publish("ana", "#sunset", images=(data,))
    network.fail("write", Fault.LOST_AFTER)
"""

from bot.platforms.memory.descriptor import PLATFORM

__all__ = ["PLATFORM"]
