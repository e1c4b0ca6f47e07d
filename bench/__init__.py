"""Load, latency, memory and quality, measured from outside: `make bench`, `make eval DATA=…`. Not part of the wheel."""
