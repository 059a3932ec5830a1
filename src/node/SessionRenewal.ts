/**
 * Replaces the sessions of connected peers in time, and all of them when this node's certificate was
 * renewed. Of two nodes the one whose key sorts first asks, so that it happens once; a question that
 * fails is asked again a minute later, and the session there is has an hour left then.
 */
import { randomBytes } from "node:crypto"
import { Effect, type Scope } from "effect"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import type { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { type Conduct, noConduct } from "../mesh/trust/PeerConduct.ts"
import type { SessionBook } from "../mesh/trust/SessionBook.ts"
import { contributionBytes, sessionOf } from "../mesh/trust/SessionSecret.ts"
import type { PeerKey } from "../model/Names.ts"

export interface SessionRenewalOptions {
  readonly self: PeerKey
  readonly admitted: Pick<AdmittedPeers, "get">
  /** Why nobody makes any with this node. Default: everybody does. */
  readonly thrownOut?: (() => string | undefined) | undefined
  /** Each session is told to all request threads. Default: nobody is counted. */
  readonly conduct?: Conduct | undefined
  readonly book: SessionBook
  readonly clients: MeshRpcClients
  readonly keeper: Pick<ConnectionKeeper, "connect" | "connectedPeers" | "isUp" | "use">
}

const lookEvery = "1 minute"
const atOnce = 16

export class SessionRenewal {
  readonly #options: SessionRenewalOptions

  constructor(options: SessionRenewalOptions) {
    this.#options = options
  }

  /** Until the scope closes. */
  get keep(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.suspend(() => {
      const { book, keeper, self } = this.#options
      return this.#replace(
        keeper.connectedPeers().filter((peer) => self < peer && book.isDue(peer))
      )
    }).pipe(
      Effect.catchAllDefect((defect) => Effect.logError("sessions were not renewed", defect)),
      Effect.delay(lookEvery),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )
  }

  /** This node has a new certificate: the facts of every session have changed for the others. */
  get renewAll(): Effect.Effect<void> {
    return Effect.suspend(() => this.#replace(this.#options.keeper.connectedPeers()))
  }

  /**
   * Request threads have links of sessions with them: the connections that there are stay, and where
   * there is none a session that is due is replaced by another handshake.
   */
  used(peers: ReadonlyArray<PeerKey>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { book, keeper, self } = this.#options
      for (const peer of peers) keeper.use(peer)
      const due = peers.filter((peer) => self < peer && !keeper.isUp(peer) && book.isDue(peer))
      return Effect.forEach(
        due,
        (peer) =>
          Effect.catchAll(this.need(peer), ({ message }) =>
            Effect.logDebug(`no new session with ${peer} yet: ${message}`)
          ),
        { concurrency: atOnce, discard: true }
      )
    })
  }

  /**
   * A request thread has none to make a link from, or the peer does not know the one it has: it was
   * restarted, say. Done when there is a new one; fails with the reason.
   */
  need(peer: PeerKey): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      const { keeper, thrownOut } = this.#options
      const out = thrownOut?.()
      if (out !== undefined) return Effect.fail(new Error(out))
      if (keeper.isUp(peer)) return this.#agree(peer)
      // The handshake makes one.
      return Effect.tryPromise({
        try: () => keeper.connect(peer),
        catch: (cause) => (cause instanceof Error ? cause : new Error(String(cause)))
      })
    })
  }

  /** The answer to another node's `NewSession`. */
  answer(from: PeerKey, secret: Uint8Array): Effect.Effect<{ secret: Uint8Array }, MeshRpcError> {
    return Effect.suspend(() => {
      const { admitted, book, conduct = noConduct } = this.#options
      if (!conduct.allows(from, "session")) {
        const message = "there was a new session a moment ago; use that one"
        return Effect.fail(new MeshRpcError({ code: "unavailable", message }))
      }
      const certificate = admitted.get(from)
      if (certificate === undefined) {
        return Effect.fail(new MeshRpcError({ code: "refused", message: notAtHand(from) }))
      }
      const own = ownSecret()
      book.made(certificate, sessionOf(secret, own))
      return Effect.succeed({ secret: own })
    })
  }

  #replace(peers: ReadonlyArray<PeerKey>): Effect.Effect<void> {
    return Effect.forEach(peers, (peer) => this.#renew(peer), {
      concurrency: atOnce,
      discard: true
    })
  }

  #renew(peer: PeerKey): Effect.Effect<void> {
    return Effect.catchAll(this.#agree(peer), ({ message }) =>
      Effect.logDebug(`no new session with ${peer} yet: ${message}`)
    )
  }

  #agree(peer: PeerKey): Effect.Effect<void, Error> {
    const { admitted, book, clients } = this.#options
    return Effect.suspend(() => {
      const own = ownSecret()
      return clients.client(peer).pipe(
        Effect.flatMap((client) => client.NewSession({ secret: own })),
        Effect.flatMap(({ secret }) => {
          const certificate = admitted.get(peer)
          // The connection broke meanwhile. Somebody waits for a session, or to be told.
          if (certificate === undefined) return Effect.fail(new Error(notAtHand(peer)))
          return Effect.sync(() => book.made(certificate, sessionOf(own, secret)))
        })
      )
    })
  }
}

const notAtHand = (peer: PeerKey): string => `the certificate of ${peer} is not at hand`

const ownSecret = (): Uint8Array => Uint8Array.from(randomBytes(contributionBytes))
