"""The only room that knows of Ray: connecting, shards on actors, tasks."""
