"""What several adapters to one vendor's protocol share. Adapters import it; it knows only core."""
