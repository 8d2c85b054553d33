"""Other tools' interfaces on top of labelmill, for files that were written for those tools."""
