/**
 * What comes of a peer that was heard on the LAN: it is dialled where it was heard, when this node is
 * alone, does not know it, or takes it for dead; the handshake then says whether it is one of the mesh.
 * For all others the place is kept, beside those that their records tell.
 */
import { Effect, type Scope } from "effect"
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { LanDiscovery, type LanPort } from "../mesh/discovery/LanDiscovery.ts"
import { neighbourLimits } from "../mesh/discovery/LanNeighbours.ts"
import { MulticastPort } from "../mesh/discovery/MulticastPort.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { BoundedCache } from "../mesh/trust/BoundedCache.ts"
import type { MeshId, PeerKey } from "../model/Names.ts"
import type { Ticker } from "../model/Time.ts"

export interface LanMeetingOptions {
  readonly mesh: MeshId
  readonly self: PeerKey
  readonly keeper: Pick<ConnectionKeeper, "connectedPeers" | "isUp" | "reach" | "wake">
  readonly catalogue: () => Catalogue
  readonly isDead: (peer: PeerKey) => boolean
  readonly ticker: Ticker
}

/** Dials at a time, and how soon a peer is dialled again for what was heard, ms. */
const mostAtOnce = 4
const leastBetween = 5_000

export class LanMeeting {
  readonly #options: LanMeetingOptions
  readonly #triedAt = new BoundedCache<number>(neighbourLimits.peers)
  #running = 0

  constructor(options: LanMeetingOptions) {
    this.#options = options
  }

  readonly heard = (peer: PeerKey): void => {
    const { keeper, self, ticker } = this.#options
    if (peer === self || keeper.isUp(peer) || !this.#isMissed(peer)) return
    const now = ticker.now()
    const tried = this.#triedAt.get(peer)
    if (this.#running >= mostAtOnce || (tried !== undefined && now - tried < leastBetween)) return
    this.#triedAt.set(peer, now)
    // One that is wanted has its pauses; that it was heard is news.
    keeper.wake(peer)
    this.#running++
    keeper
      .reach(peer)
      // Whoever says that it is there need not be, nor be one of us; why not is with the connections.
      .catch(() => undefined)
      .finally(() => {
        this.#running--
      })
  }

  #isMissed(peer: PeerKey): boolean {
    const { catalogue, isDead, keeper } = this.#options
    const record = catalogue().node(peer)?.record
    if (record?.state === "left") return false
    return record === undefined || isDead(peer) || keeper.connectedPeers().length === 0
  }
}

/** The port of the first multiaddr that has one. */
const portOf = (addresses: ReadonlyArray<string>): number | undefined => {
  for (const address of addresses) {
    const port = Number(/^\/ip4\/[^/]+\/tcp\/(\d+)/.exec(address)?.[1] ?? 0)
    if (port > 0) return port
  }
  return undefined
}

/** Undefined: at all addresses of this host. */
const hostsOf = (listen: ReadonlyArray<string>): ReadonlySet<string> | undefined => {
  const hosts = listen.flatMap((address) => /^\/ip4\/([^/]+)\//.exec(address)?.[1] ?? [])
  return hosts.includes("0.0.0.0") ? undefined : new Set(hosts)
}

export interface LanOptions extends LanMeetingOptions {
  /** What the node listens on, as configured. */
  readonly listen: ReadonlyArray<string>
  /** Where it can be dialled; tells the port where the config leaves that to the system. */
  readonly addresses: ReadonlyArray<string>
  readonly warn: (message: string) => void
  /** Default: the LANs this host is in. */
  readonly lan?: LanPort
}

/** Until the scope closes. Undefined: nothing here can be reached over IPv4. */
export const meetOnLan = (
  options: LanOptions
): Effect.Effect<LanDiscovery | undefined, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { addresses, keeper, listen, mesh, self, ticker, warn } = options
    const port = portOf(listen) ?? portOf(addresses)
    if (port === undefined) {
      warn("node.discovery.mdns is on, and this node listens on no IPv4 address: nobody finds it")
      return undefined
    }
    const lan =
      options.lan ??
      (yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new MulticastPort({
              at: hostsOf(listen),
              ticker,
              onTrouble: warn
            })
        ),
        (it) => Effect.sync(() => it.close())
      ))
    const meeting = new LanMeeting(options)
    return yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new LanDiscovery({
            ...{ mesh, self, port, lan, ticker },
            isAlone: () => keeper.connectedPeers().length === 0,
            onHeard: meeting.heard
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
  })
