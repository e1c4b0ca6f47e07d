"""Use cases; policy lives here. Services hold ports and values, never Settings, never HTTP."""
