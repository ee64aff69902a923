"""The ground floor: pure data, tested by properties, and the stored format by golden files."""
