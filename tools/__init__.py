"""Programs that write what the documentation generates from the code."""
