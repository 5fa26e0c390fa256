"""Archives dead letters from the error queues into files and a table, and replays them."""
