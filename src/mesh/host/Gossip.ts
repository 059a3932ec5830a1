/**
 * Telling everybody: topics over gossipsub in production, a shared bus in tests and the
 * simulator. What travels is signed by whoever said it (an envelope), so the transport signs
 * nothing; a handler judges each message before it is passed on.
 */
import { Context, type Effect } from "effect"

/** `accept` passes it on, `ignore` (stale, known) does not, `reject` (forged) also blames the sender. */
export type GossipVerdict = "accept" | "ignore" | "reject"

export type GossipTopic = "catalogue" | "membership"

export type GossipHandler = (bytes: Uint8Array) => GossipVerdict

export class Gossip extends Context.Tag("skein/link/Gossip")<
  Gossip,
  {
    /** Best effort: with no neighbour it reaches nobody, and anti-entropy repairs it later. */
    readonly publish: (topic: GossipTopic, bytes: Uint8Array) => Effect.Effect<void>
    /** One handler per topic, for the life of the node. */
    readonly subscribe: (topic: GossipTopic, handler: GossipHandler) => Effect.Effect<void>
  }
>() {}
