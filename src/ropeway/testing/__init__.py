"""The testing kit, shipped: a fake clock, the contract suite for stores, a ledger with its checker, and the run that kills processes."""
