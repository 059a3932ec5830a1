/**
 * gossipsub whose heartbeat rests. The library's beats once a second for as long as the node runs: it tells
 * others of the messages there were, and mends its choice of neighbours. In a mesh at rest there is neither,
 * and it was a tenth of what a node at rest does. Here it beats each ten seconds once nothing has happened for
 * a while, and within a second, as before, of the next message, neighbour or connection that comes or goes.
 *
 * The library has no setting for that, so its interval is changed as it runs. Where its insides are not what
 * is expected here, it beats as it always does.
 */
import type { GossipSub } from "@libp2p/gossipsub"
import type { Libp2p } from "@libp2p/interface"

/** Milliseconds, but for `calm`. */
export const gossipBeats = {
  /** While there is something to tell or to mend. */
  awake: 1_000,
  /** For what only time changes: what is remembered of messages that are long over. */
  resting: 10_000,
  /** Beats in which nothing happened, before it rests: a message is told of for three, and kept for five. */
  calm: 6
} as const

/** What we need of a GossipSub that its interface does not tell of. */
interface Inside {
  readonly opts: { heartbeatInterval: number; readonly Dhi: number; readonly Dlo: number }
  /** Neighbours by topic. */
  readonly mesh: ReadonlyMap<string, ReadonlySet<string>>
  /** While it runs. */
  readonly status: { heartbeatTimeout?: NodeJS.Timeout; hearbeatStartMs?: number }
  readonly runHeartbeat: () => void
  /** Each message that is news goes in here. */
  readonly mcache: { put(...args: ReadonlyArray<unknown>): unknown }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

const isInside = (pubsub: GossipSub): pubsub is GossipSub & Inside => {
  const mcache: unknown = Reflect.get(pubsub, "mcache")
  const opts: unknown = Reflect.get(pubsub, "opts")
  return (
    isObject(opts) &&
    ["heartbeatInterval", "Dhi", "Dlo"].every(
      (name) => typeof Reflect.get(opts, name) === "number"
    ) &&
    Reflect.get(pubsub, "mesh") instanceof Map &&
    typeof Reflect.get(pubsub, "runHeartbeat") === "function" &&
    isObject(Reflect.get(pubsub, "status")) &&
    isObject(mcache) &&
    typeof Reflect.get(mcache, "put") === "function"
  )
}

/** Are there as many neighbours as are wanted, or all there are? Else time may bring some, as back-offs end. */
const isSettled = (pubsub: GossipSub & Inside): boolean => {
  const { Dhi, Dlo } = pubsub.opts
  return Array.from(pubsub.mesh).every(
    ([topic, { size }]) =>
      size <= Dhi && (size >= Dlo || size >= pubsub.getSubscribers(topic).length)
  )
}

/** Before it is started. */
export const restGossip = (pubsub: GossipSub, libp2p: Pick<Libp2p, "addEventListener">): void => {
  if (!isInside(pubsub)) return
  let calm = 0

  const wake = (): void => {
    calm = 0
    if (pubsub.opts.heartbeatInterval === gossipBeats.awake) return
    pubsub.opts.heartbeatInterval = gossipBeats.awake
    // Another one for each life of it.
    const { status } = pubsub
    if (status.heartbeatTimeout === undefined) return
    clearTimeout(status.heartbeatTimeout)
    // At its own moment of the second, which is another one at each node.
    const since = Date.now() - (status.hearbeatStartMs ?? 0)
    const wait = gossipBeats.awake - (Math.abs(since) % gossipBeats.awake)
    status.heartbeatTimeout = setTimeout(pubsub.runHeartbeat, wait)
  }

  const { mcache } = pubsub
  const put = mcache.put.bind(mcache)
  mcache.put = (...args) => {
    wake()
    return put(...args)
  }
  for (const event of ["gossipsub:graft", "gossipsub:prune"] as const) {
    pubsub.addEventListener(event, wake)
  }
  pubsub.addEventListener("subscription-change", wake)
  for (const event of ["peer:connect", "peer:disconnect"] as const) {
    libp2p.addEventListener(event, wake)
  }
  pubsub.addEventListener("gossipsub:heartbeat", () => {
    calm++
    if (calm >= gossipBeats.calm && isSettled(pubsub)) {
      pubsub.opts.heartbeatInterval = gossipBeats.resting
    }
  })
}
