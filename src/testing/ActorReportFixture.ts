/** A made-up report of a program, for tests of what is made of reports. */
import { ServiceName } from "../model/Names.ts"
import { latencyBounds } from "../request/cells/Cells.ts"
import type { ActivationReport, ActorReport } from "../schema/ActorReportSchema.ts"

/** `answered`: as many messages were, each within a millisecond. */
export const actorReport = (
  key: string,
  answered = 0,
  rest: Partial<ActorReport> = {}
): ActorReport => ({
  ...{ type: "Cart", service: ServiceName.make("actor-cart"), key, guarantee: "leased" },
  shards: { owned: 128, open: 1, in: 3, out: 2 },
  ...{ activations: 2, waiting: 1, longest: 1, crashes: 1, rate: 0.5, lastError: null },
  ...{ lost: 2, given: { ok: 5, failed: 1 }, placed: "mesh" },
  messages: {
    ...{ ok: answered, failed: 0, died: 1, cancelled: 0, mailboxFull: 2, moved: 4, unavailable: 3 }
  },
  saves: { ok: answered, failed: 0, fenced: 0 },
  latency: {
    bounds: latencyBounds,
    counts: latencyBounds.map((bound) => (bound === 1 ? answered : 0)).concat(0),
    sum: answered * 0.75
  },
  ...rest
})

export const activationReport = (
  id: string,
  rest: Partial<ActivationReport> = {}
): ActivationReport => ({
  ...{ id, shard: 7, phase: "ready", waiting: 0, running: 0, handled: 1, since: 1, usedAt: 2 },
  ...{ kept: false, version: 3, lastError: null },
  ...rest
})
