"""The words every room shares: models, ports, errors, filters, timing. Imports nothing of Ragstone outside itself."""
