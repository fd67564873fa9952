"""Sources: files of many formats read into texts that know their place and their licence."""
