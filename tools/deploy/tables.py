"""Tablas."""
def write(stored):
    pass
