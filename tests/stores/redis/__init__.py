"""The Redis engine: under the contract and the model, and on servers of its own that are stopped, killed and cut off."""
