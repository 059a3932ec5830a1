/** Gossip over gossipsub: the handler's verdict is the topic's validator. */
import { type Message, TopicValidatorResult } from "@libp2p/gossipsub"
import type { PeerId } from "@libp2p/interface"
import { Effect, Layer, Runtime } from "effect"
import { PeerKey } from "../../model/Names.ts"
import { type Conduct, noConduct } from "../trust/PeerConduct.ts"
import { Gossip, type GossipVerdict } from "./Gossip.ts"
import { topicName } from "./GossipsubOptions.ts"
import { reasonOf } from "./HostError.ts"
import { MeshHost } from "./MeshHost.ts"

const results: Record<GossipVerdict, TopicValidatorResult> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject
}

/** Blamed is who passed a message on: nobody honest passes on what it has not judged. */
export const layerLibp2p = (conduct: Conduct = noConduct): Layer.Layer<Gossip, never, MeshHost> =>
  Layer.scoped(
    Gossip,
    Effect.gen(function* () {
      const { libp2p, mesh } = yield* MeshHost
      const { pubsub } = libp2p.services
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const subscribed = new Set<string>()
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const name of subscribed) {
            pubsub.topicValidators.delete(name)
            if (libp2p.status === "started") pubsub.unsubscribe(name)
          }
        })
      )
      return {
        publish: (topic, bytes) =>
          Effect.tryPromise(() => pubsub.publish(topicName(mesh, topic), bytes)).pipe(
            // Best effort by contract: anti-entropy carries what gossip lost.
            Effect.catchAll((error) =>
              Effect.logDebug(`gossip on ${topic} was not sent: ${reasonOf(error.error)}`)
            ),
            Effect.asVoid
          ),
        subscribe: (topic, handler) =>
          Effect.sync(() => {
            const name = topicName(mesh, topic)
            pubsub.topicValidators.set(name, (from: PeerId, message: Message) => {
              const peer = PeerKey.make(from.toString())
              // Not looked at: that is what costs.
              if (!conduct.allows(peer, "passedOn")) return TopicValidatorResult.Ignore
              try {
                const verdict = handler(message.data)
                if (verdict === "reject") conduct.note(peer, "forged")
                return results[verdict]
              } catch (error) {
                // A defect of the handler, not of the peer: not passed on, nobody blamed.
                runFork(Effect.logError(`the handler of gossip on ${topic} failed`, error))
                return TopicValidatorResult.Ignore
              }
            })
            subscribed.add(name)
            pubsub.subscribe(name)
          })
      }
    })
  )
