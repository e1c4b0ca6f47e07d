"""Models that read a question and a passage together, one file for each protocol. Import them from their modules."""
