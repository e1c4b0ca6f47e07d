"""The two flows: question to answer, bytes to points. Pure orchestration over ports; yields typed events."""
