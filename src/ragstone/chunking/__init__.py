"""From blocks to chunks: spans that are embedded, found and quoted as one."""
