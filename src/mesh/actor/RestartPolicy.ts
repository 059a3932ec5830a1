/**
 * When a crashed actor is started again. Pure: the supervisor sleeps and counts the time.
 *
 * The n-th crash in a row waits base · 2^(n-1), at most `max`, of which the share `jitter` is left
 * to chance, so that actors that crash together do not come back together. An actor that ran for
 * `quiet` is forgiven its past. More than `restarts` crashes within `window` are not bad luck any
 * more: the actor is to begin from scratch, after a rest (Supervisor.ts).
 */
export interface RestartPolicy {
  /** Milliseconds before the first restart; default 100. */
  readonly base: number
  /** Longest wait in milliseconds; default 30 s. */
  readonly max: number
  /** Share of the wait left to chance, 0–1; default 0.5. */
  readonly jitter: number
  /** Milliseconds without a crash after which the waits start from `base` again; default 60 s. */
  readonly quiet: number
  /** Crashes within `window` that are still answered by a plain restart; default 8. */
  readonly restarts: number
  /** Milliseconds; default 60 s. */
  readonly window: number
}

export const defaultRestartPolicy: RestartPolicy = {
  base: 100,
  max: 30_000,
  jitter: 0.5,
  quiet: 60_000,
  restarts: 8,
  window: 60_000
}

export interface RestartHistory {
  /** Crashes in a row, since the last quiet time. */
  readonly streak: number
  /** When the crashes within the window happened; never longer than `restarts` + 1. */
  readonly recent: ReadonlyArray<number>
}

export const noRestarts: RestartHistory = { streak: 0, recent: [] }

export interface RestartDecision {
  readonly kind: "restart" | "escalate"
  /** Whole milliseconds to wait before the restart: a clock of tests takes no fraction. */
  readonly delay: number
  readonly history: RestartHistory
}

/** `startedAt` and `now` on one monotonic clock; `random` uniform in [0, 1). */
export const decideRestart = (
  policy: RestartPolicy,
  history: RestartHistory,
  startedAt: number,
  now: number,
  random: number
): RestartDecision => {
  const streak = now - startedAt >= policy.quiet ? 1 : history.streak + 1
  const recent = [...history.recent.filter((at) => now - at < policy.window), now]
  // Doubling is capped at 2^30 so that a long streak cannot overflow into Infinity · 0.
  const full = Math.min(policy.max, policy.base * 2 ** Math.min(streak - 1, 30))
  const delay = Math.round(full * (1 - policy.jitter * random))
  return recent.length > policy.restarts
    ? { kind: "escalate", delay, history: noRestarts }
    : { kind: "restart", delay, history: { streak, recent } }
}
