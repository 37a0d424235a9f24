"""Archives of many pictures: bits-back coding, group by group."""
