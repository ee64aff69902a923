"""The kick-start: how a put wakes an idle worker at once. Only ever a hint; a poll stands behind each of them."""
