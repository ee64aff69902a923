"""`ropeway top`: the queues, the workers and the failures of a store on a whole terminal, drawn anew each second.

    keys --> model --> what to look at --> looker (a thread) --> snapshot --> drawing --> screen

The looker is the only one that talks to the store, so a store that does not answer never holds up a key. Rich is imported by the drawing.
"""
