/** What a request thread knows of the other nodes: their names, and where they are dialled. */
import type { PeerKey } from "../model/Names.ts"
import type { PeerFacts } from "./PlaneMessages.ts"

const nowhere: ReadonlyArray<string> = []

export class PeerBook {
  readonly #self: { readonly peer: PeerKey; readonly node: string }
  readonly #facts = new Map<PeerKey, PeerFacts>()
  /** By its certificate, of one whose record is not here yet. */
  readonly #proved = new Map<PeerKey, string>()

  constructor(self: { readonly peer: PeerKey; readonly node: string }) {
    this.#self = self
  }

  /** True: it has an address that it did not have before. */
  put(facts: PeerFacts): boolean {
    const before = new Set(this.addressesOf(facts.peer))
    this.#facts.set(facts.peer, facts)
    this.#proved.delete(facts.peer)
    return facts.addresses.some((address) => !before.has(address))
  }

  /** Its handshake has shown the name; whoever calls before its record is here has one then. */
  prove(peer: PeerKey, name: string): void {
    if (!this.#facts.has(peer)) this.#proved.set(peer, name)
  }

  /** Nothing is spoken with it any more by what its handshake has shown. */
  disprove(peer: PeerKey): void {
    this.#proved.delete(peer)
  }

  forget(peer: PeerKey): void {
    this.#facts.delete(peer)
    this.#proved.delete(peer)
  }

  nameOf(peer: PeerKey): string {
    if (peer === this.#self.peer) return this.#self.node
    return this.#facts.get(peer)?.name ?? this.#proved.get(peer) ?? peer
  }

  addressesOf(peer: PeerKey): ReadonlyArray<string> {
    return this.#facts.get(peer)?.addresses ?? nowhere
  }
}
