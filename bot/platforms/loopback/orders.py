"""The queue of ordered faults: which request meets which."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Ordered(Protocol):
    """What every fault has. The first `skip` requests that it fits go through, then `count` meet it
    (0: all that follow)."""

    count: int
    skip: int
    hits: int
    released: threading.Event  # set when whoever hangs may go on


Fault = TypeVar("Fault", bound=Ordered)


class Orders(Generic[Fault]):
    """Faults in the sequence they were ordered; the first that fits takes the request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[Fault] = []
        self._spent: list[Fault] = []

    def put(self, fault: Fault) -> Fault:
        with self._lock:
            self._orders.append(fault)
        return fault

    def next(self, fits: Callable[[Fault], bool]) -> Fault | None:
        """The fault for a request, if any; counts it."""
        with self._lock:
            for fault in filter(fits, list(self._orders)):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                if fault.count and fault.hits >= fault.count:
                    self._orders.remove(fault)
                    self._spent.append(fault)
                return fault
        return None

    def clear(self) -> None:
        """Forget all orders and release whoever hangs."""
        with self._lock:
            for fault in (*self._orders, *self._spent):
                fault.released.set()
            self._orders.clear()
            self._spent.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._orders)
