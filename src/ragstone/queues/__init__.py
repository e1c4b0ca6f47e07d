"""How background work is driven."""
