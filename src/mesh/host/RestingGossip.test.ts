import { noise } from "@chainsafe/libp2p-noise"
import { describe, expect, it } from "@effect/vitest"
import { generateKeyPair } from "@libp2p/crypto/keys"
import { start, stop } from "@libp2p/interface"
import { peerIdFromPrivateKey } from "@libp2p/peer-id"
import { Effect } from "effect"
import { vi } from "vitest"
import { MeshId } from "../../model/Names.ts"
import { topicName } from "./GossipsubOptions.ts"
import { makeMeshHost } from "./MeshHost.ts"
import { gossipBeats } from "./RestingGossip.ts"

const mesh = MeshId.make("00112233445566778899aabbccddeeff")
const topic = topicName(mesh, "membership")

/** The gossip of a host that knows nobody, on a clock of the test's, from its start on. */
const beating = Effect.gen(function* () {
  const privateKey = yield* Effect.promise(() => generateKeyPair("Ed25519"))
  const { libp2p } = yield* makeMeshHost({ privateKey, mesh, listen: [], encrypter: noise() })
  const { pubsub } = libp2p.services
  yield* Effect.promise(() => stop(pubsub))
  yield* Effect.acquireRelease(
    Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })),
    () => Effect.sync(() => vi.useRealTimers())
  )
  let beats = 0
  pubsub.addEventListener("gossipsub:heartbeat", () => beats++)
  yield* Effect.promise(() => start(pubsub))
  pubsub.subscribe(topic)
  /** How often it beats in so many ms. */
  const beatsIn = (ms: number) =>
    Effect.promise(async () => {
      beats = 0
      await vi.advanceTimersByTimeAsync(ms)
      return beats
    })
  return { libp2p, pubsub, beatsIn }
})

describe("the heartbeat of gossip", () => {
  it.scoped("rests where nothing happens, and not before", () =>
    Effect.gen(function* () {
      const { beatsIn } = yield* beating
      expect(yield* beatsIn(gossipBeats.calm * 1_000)).toBe(gossipBeats.calm)
      yield* beatsIn(gossipBeats.resting)
      expect(yield* beatsIn(6 * gossipBeats.resting)).toBe(6)
    })
  )

  it.scoped("is back within a second of a message, for as long as that is told of", () =>
    Effect.gen(function* () {
      const { beatsIn, pubsub } = yield* beating
      yield* beatsIn(40_500)
      yield* Effect.promise(() => pubsub.publish(topic, Buffer.from("news")))
      expect(yield* beatsIn(1_000)).toBe(1)
      expect(yield* beatsIn(4_000)).toBe(4)
      yield* beatsIn(20_000)
      expect(yield* beatsIn(6 * gossipBeats.resting)).toBe(6)
    })
  )

  it.scoped("is back when somebody comes or goes", () =>
    Effect.gen(function* () {
      const { beatsIn, libp2p } = yield* beating
      for (const event of ["peer:connect", "peer:disconnect"] as const) {
        yield* beatsIn(40_500)
        libp2p.dispatchEvent(new CustomEvent(event, { detail: libp2p.peerId }))
        expect(yield* beatsIn(1_000)).toBe(1)
      }
    })
  )

  it.scoped("goes on where there are fewer neighbours than are wanted, and others to be had", () =>
    Effect.gen(function* () {
      const { beatsIn, pubsub } = yield* beating
      // One that is in its back-off: it can be had when that is over.
      const key = yield* Effect.promise(() => generateKeyPair("Ed25519"))
      vi.spyOn(pubsub, "getSubscribers").mockReturnValue([peerIdFromPrivateKey(key)])
      yield* beatsIn(20_000)
      expect(yield* beatsIn(10_000)).toBe(10)
    })
  )
})
