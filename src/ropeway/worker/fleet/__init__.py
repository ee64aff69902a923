"""The fleet: workers that say who they are, take orders, are watched over and look after what dead ones left behind.

`notice` is what a worker tells of itself and `presence` writes it; `orders` is its private queue of orders; `members` lists and orders
about, for those who look on; `switch` pauses all of a store at once; `supervisor` keeps processes running.
"""

from .members import Member, workers
from .notice import Notice

__all__ = ["Member", "Notice", "workers"]
