/** The figures of a pool. */

/** Indices into the figures that the pool's `stats` fills in. */
export const STAT = {
  state: 0,
  epoch: 1,
  queuedRecords: 2,
  queuedBytes: 3,
  running: 4,
  zombies: 5,
  sessionsOpen: 6,
  threads: 7,
  maxSessions: 8,
  submitted: 9,
  completed: 10,
  failed: 11,
  notSent: 12,
  timedOut: 13,
  released: 14,
  retried: 15,
  sessionsReplaced: 16,
  recoveries: 17,
  logins: 18,
  bytesIn: 19,
  bytesOut: 20,
  oldestQueuedMs: 21,
} as const;

/** How many figures there are. */
export const STAT_COUNT = 64;
