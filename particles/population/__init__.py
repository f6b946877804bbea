"""The particles: blocks on threads, in shards, how they are updated and what is asked of them."""
