"""Archives of many images: bits-back coding, group by group."""
