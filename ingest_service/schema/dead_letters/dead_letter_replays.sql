-- Dead letters that were published again, and confirmed: `attempts` is what the letter had then.
CREATE TABLE IF NOT EXISTS _e.dead_letter_replays $on_cluster
(
    letter_id UUID,
    attempts UInt32,
    replay_id UUID,
    replayed_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1))
)
ENGINE = $replacing_merge_tree(replayed_at)
ORDER BY (letter_id, attempts, replay_id)
SETTINGS $settings
