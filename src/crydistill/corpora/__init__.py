"""Where recordings come from: a corpus lists clips and does not read audio."""
