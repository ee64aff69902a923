"""The history of a store: how many runs ended, how, and how long they took and had waited, minute by minute, in its notes.

    worker or server --> Tally --each minute--> notes --> reading.gather --> broker.history(), charts, metrics

Each process that ends jobs counts for itself and rewrites a note of its own; whoever looks merges them all. So nothing has to be agreed on,
a restart loses at most the minute that was not written yet, and a store in which nothing ends has nothing to write.
"""
