/**
 * The moments at which an open loop sends, fixed before the first request: a slow answer delays
 * nobody's departure. Milliseconds.
 */
export const scheduledAt = (index: number, rate: number): number => (index * 1_000) / rate

/** How many requests are due at a moment. */
export const dueAt = (elapsed: number, rate: number, total: number): number =>
  elapsed < 0 ? 0 : Math.min(total, Math.floor((elapsed * rate) / 1_000) + 1)
