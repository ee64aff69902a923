-- needs: words base has ends
-- An end in one of the queues whose names are too long for a bell of ends of their own: all of those share one.
over()
return 1
