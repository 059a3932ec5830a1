/**
 * The sessions a request thread may make links from (model/Session.ts): all of them by id, for who
 * calls, and per peer the newest, for calling. The mesh thread puts them here and ends them. Every
 * link made from a session is held here, so that it ends with it, in the same turn.
 *
 * A newer session of a peer leaves the links of older ones alone; those are not dialled with any
 * more, and are accepted until their time is over. Time is this host's wall clock, whatever the
 * peer's says.
 */
import { type HostCaller, hostCaller } from "../../model/Caller.ts"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import {
  type Session,
  type SessionFacts,
  type SessionId,
  sessionIdBytes,
  sessionSecretBytes
} from "../../model/Session.ts"

const isId = new RegExp(`^[0-9a-f]{${2 * sessionIdBytes}}$`)

export interface SessionLimits {
  /** Of a peer: its oldest is forgotten for a newer one. Its links stay. Default 4. */
  readonly perPeer: number
  /**
   * Peers, at most: one without links is forgotten for another, and asks its mesh thread for a new
   * session when it comes again; if all have links, the other is not taken. Default 16,384.
   */
  readonly peers: number
  /** Ended sessions that are remembered; of older ones it is said that they are unknown. 4,096. */
  readonly ended: number
  /**
   * Ephemeral keys that are remembered of a session, at most: the oldest goes first. A preface that
   * was recorded before so many others is answered again, once, which is of no use to who sends it:
   * it cannot say hello (LinkPreface.ts). So is one that comes to another thread. Default 256.
   */
  readonly ephemerals: number
}

export const defaultSessionLimits: SessionLimits = {
  perPeer: 4,
  peers: 16_384,
  ended: 4_096,
  ephemerals: 256
}

/** What ends with a session. */
export interface SessionLink {
  abort(cause: Error): void
}

/** The mesh has decided that nothing more is spoken by this session. */
export class SessionEnded extends Error {
  override readonly name = "SessionEnded"

  constructor(peerName: NodeName, reason: string) {
    super(`the session with ${peerName} was ended: ${reason}`)
  }
}

interface Known {
  readonly session: Session
  readonly ephemerals: Set<string>
}

interface Held {
  readonly id: SessionId
  readonly link: SessionLink
}

interface Peer {
  name: NodeName
  host: HostCaller
  /** What its newest certificate says. */
  facts: SessionFacts
  /** The newest last. */
  readonly known: Array<Known>
  /** Of forgotten sessions too. */
  readonly links: Set<Held>
}

export class Sessions {
  readonly #wall: () => number
  readonly #limits: SessionLimits
  readonly #byId = new Map<SessionId, Known>()
  readonly #byPeer = new Map<PeerKey, Peer>()
  readonly #ended = new Set<SessionId>()

  /** `wall`: this host's wall clock, ms. */
  constructor(wall: () => number, limits: Partial<SessionLimits> = {}) {
    this.#wall = wall
    this.#limits = { ...defaultSessionLimits, ...limits }
  }

  get size(): number {
    return this.#byId.size
  }

  /**
   * Takes a session; it is the one to dial its peer with from now on. False: it was ended before, or
   * there is no room for another peer. Throws on one that is malformed, which only a bug can make.
   */
  put(session: Session): boolean {
    const { id, peer: key, peerName, secret } = session
    if (!isId.test(id) || secret.length !== sessionSecretBytes) {
      throw new RangeError(`the session ${id} with ${peerName} has ${secret.length} secret bytes`)
    }
    if (this.#ended.has(id)) return false
    if (this.#byId.has(id)) return true
    const peer = this.#byPeer.get(key) ?? this.#newPeer(session)
    if (peer === undefined) return false
    if (peer.name !== peerName) peer.host = hostCaller(peerName)
    peer.name = peerName
    peer.facts = session.facts
    const known: Known = { session, ephemerals: new Set() }
    this.#byId.set(id, known)
    peer.known.push(known)
    this.#forgetOld(peer)
    return true
  }

  /** By which to accept. */
  find(id: SessionId): Session | "unknown_session" | "session_ended" {
    const session = this.#byId.get(id)?.session
    if (session === undefined) return this.#ended.has(id) ? "session_ended" : "unknown_session"
    return this.#isOver(session) ? "session_ended" : session
  }

  /** By which to dial. */
  newest(peer: PeerKey): Session | undefined {
    return this.#byPeer.get(peer)?.known.findLast(({ session }) => !this.#isOver(session))?.session
  }

  /** What a peer with whom there are sessions or links is called, by its newest certificate. */
  hostOf(peer: PeerKey): HostCaller | undefined {
    return this.#byPeer.get(peer)?.host
  }

  /** What that certificate grants. */
  factsOf(peer: PeerKey): SessionFacts | undefined {
    return this.#byPeer.get(peer)?.facts
  }

  /** False: a handshake of this session has had this ephemeral key. */
  isFresh(id: SessionId, ephemeral: Buffer): boolean {
    const ephemerals = this.#byId.get(id)?.ephemerals
    if (ephemerals === undefined) return true
    // Half of it tells them apart as well.
    const text = ephemeral.toString("latin1", 0, 16)
    if (ephemerals.has(text)) return false
    dropFirst(ephemerals, this.#limits.ephemerals - 1)
    ephemerals.add(text)
    return true
  }

  /** A link that is to end with its session. Returns how to let go of it; undefined: it has ended. */
  hold(session: Session, link: SessionLink): (() => void) | undefined {
    const { id, peer: key } = session
    if (this.#ended.has(id)) return undefined
    const peer = this.#byPeer.get(key) ?? this.#newPeer(session)
    if (peer === undefined) return undefined
    const held: Held = { id, link }
    peer.links.add(held)
    return () => {
      peer.links.delete(held)
      this.#tidy(key, peer)
    }
  }

  /** One session, for good: also one that this thread has not heard of yet. */
  end(id: SessionId, reason: string): void {
    this.#remember(id)
    const key = this.#byId.get(id)?.session.peer
    // Where it was forgotten only its links know whose it was.
    const keys = key === undefined ? [...this.#byPeer.keys()] : [key]
    this.#byId.delete(id)
    for (const key of keys) this.#endOf(key, id, reason)
  }

  /** All sessions of a peer, and all links with it. */
  endPeer(key: PeerKey, reason: string): void {
    const peer = this.#byPeer.get(key)
    if (peer === undefined) return
    for (const { session } of peer.known.splice(0)) {
      this.#remember(session.id)
      this.#byId.delete(session.id)
    }
    for (const { id } of peer.links) this.#remember(id)
    this.breakLinks(key, new SessionEnded(peer.name, reason))
    this.#tidy(key, peer)
  }

  /** The links with a peer only: new ones may follow. */
  breakLinks(peer: PeerKey, cause: Error): void {
    for (const { link } of [...(this.#byPeer.get(peer)?.links ?? [])]) link.abort(cause)
  }

  #endOf(key: PeerKey, id: SessionId, reason: string): void {
    const peer = this.#byPeer.get(key)
    if (peer === undefined) return
    const at = peer.known.findIndex(({ session }) => session.id === id)
    if (at !== -1) peer.known.splice(at, 1)
    for (const held of [...peer.links]) {
      if (held.id === id) held.link.abort(new SessionEnded(peer.name, reason))
    }
    this.#tidy(key, peer)
  }

  #isOver({ until }: Session): boolean {
    return this.#wall() >= until
  }

  #newPeer({ facts, peer: key, peerName: name }: Session): Peer | undefined {
    if (this.#byPeer.size >= this.#limits.peers && !this.#forgetPeer()) return undefined
    const peer: Peer = { name, host: hostCaller(name), facts, known: [], links: new Set() }
    this.#byPeer.set(key, peer)
    return peer
  }

  /** The one that has been here longest of those without links. False: there is none. */
  #forgetPeer(): boolean {
    for (const [key, peer] of this.#byPeer) {
      if (peer.links.size > 0) continue
      for (const { session } of peer.known) this.#byId.delete(session.id)
      this.#byPeer.delete(key)
      return true
    }
    return false
  }

  /** What has room, and has not had its time, stays. */
  #forgetOld({ known }: Peer): void {
    for (let oldest = known[0]?.session; oldest !== undefined; oldest = known[0]?.session) {
      const over = this.#isOver(oldest)
      if (known.length === 1 || (!over && known.length <= this.#limits.perPeer)) return
      known.shift()
      this.#byId.delete(oldest.id)
      if (over) this.#remember(oldest.id)
    }
  }

  #remember(id: SessionId): void {
    if (this.#ended.has(id)) return
    dropFirst(this.#ended, this.#limits.ended - 1)
    this.#ended.add(id)
  }

  #tidy(key: PeerKey, peer: Peer): void {
    if (peer.known.length > 0 || peer.links.size > 0) return
    if (this.#byPeer.get(key) === peer) this.#byPeer.delete(key)
  }
}

/** Of a set in order of arrival, until no more than `most` are left. */
const dropFirst = (set: Set<string>, most: number): void => {
  while (set.size > most) {
    const [first] = set
    if (first === undefined) return
    set.delete(first)
  }
}
