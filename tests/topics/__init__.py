"""Topics: durable groups, listeners, subscriptions, and what kill -9 does to them."""
