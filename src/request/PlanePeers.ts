/**
 * The other nodes, as a request thread knows them: their names and addresses, the sessions that links with them
 * are made from, and for whom each may speak.
 */
import type { Call } from "../model/Exchange.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import { Sessions } from "./link/Sessions.ts"
import { PeerBook } from "./PeerBook.ts"
import type { ToPlane } from "./PlaneMessages.ts"
import { SpeakingRights } from "./policy/SpeakingRights.ts"
import { SessionNeeds } from "./SessionNeeds.ts"

export interface PlanePeersOptions {
  readonly self: { readonly peer: PeerKey; readonly node: string }
  /** Wall clock, ms. */
  readonly wall: () => number
  /** Asks for a session with the peer. */
  readonly ask: (peer: PeerKey) => void
  /** There is a new session with the peer. */
  readonly onMet: (peer: PeerKey) => void
  /** The peer can be dialled where it could not before. */
  readonly onMoved: (peer: PeerKey) => void
}

/** What is said of other nodes, and of what this one may say to them. */
type PeerMessage = Extract<
  ToPlane,
  {
    readonly type: "rights" | "peer" | "peer.gone" | "session" | "session.end" | "session.none"
  }
>

export class PlanePeers {
  readonly sessions: Sessions
  readonly rights: SpeakingRights
  /** Sessions that are waited for. */
  readonly needs: SessionNeeds
  readonly #options: PlanePeersOptions
  readonly #book: PeerBook

  constructor(options: PlanePeersOptions) {
    this.#options = options
    this.#book = new PeerBook(options.self)
    this.sessions = new Sessions(options.wall)
    this.rights = new SpeakingRights({
      self: options.self,
      factsOf: (peer) => this.sessions.factsOf(peer),
      nameOf: this.nameOf
    })
    this.needs = new SessionNeeds(options.ask)
  }

  /** What people call it. */
  readonly nameOf = (peer: PeerKey): string => this.#book.nameOf(peer)

  readonly addressesOf = (peer: PeerKey): ReadonlyArray<string> => this.#book.addressesOf(peer)

  /** The node that a call comes from: by its certificate, while there is a session to go by. */
  readonly hostOf = ({ caller }: Call): string =>
    (caller === this.#options.self.peer ? undefined : this.sessions.hostOf(caller)?.name) ??
    this.nameOf(caller)

  receive(message: PeerMessage): void {
    switch (message.type) {
      case "rights":
        this.rights.own = message.facts
        return
      case "peer":
        if (this.#book.put(message.facts)) this.#options.onMoved(message.facts.peer)
        return
      case "peer.gone":
        this.#book.forget(message.peer)
        return
      case "session":
        this.#have(message.session)
        return
      case "session.end":
        this.sessions.endPeer(message.peer, message.reason)
        this.#book.disprove(message.peer)
        return
      case "session.none":
        this.needs.none(message.peer, message.reason)
    }
  }

  #have(session: Session): void {
    this.#book.prove(session.peer, session.peerName)
    this.sessions.put(session)
    this.needs.have(session)
    this.#options.onMet(session.peer)
  }
}
