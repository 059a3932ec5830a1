/** How gossipsub is set for a mesh of admitted nodes that sign what they say themselves. */
import { createHash } from "node:crypto"
import { type GossipsubOpts, type Message, StrictNoSign } from "@libp2p/gossipsub"
import { createTopicScoreParams } from "@libp2p/gossipsub/score"
import type { MeshId } from "../../model/Names.ts"
import type { GossipTopic } from "./Gossip.ts"

export const gossipTopics: ReadonlyArray<GossipTopic> = ["catalogue", "membership"]

/** Topics carry the mesh id: a node of two meshes could not mix them up. */
export const topicName = (mesh: MeshId, topic: GossipTopic): string => `skein/${mesh}/${topic}`

/** A message is what it says: the same bytes from two nodes are one message. */
const contentId = (message: Message): Uint8Array =>
  createHash("sha256").update(message.data).digest().subarray(0, 20)

/** Milliseconds between two rounds over the scores of all peers, which forget a tenth a second. */
const scoresEvery = 10_000

/**
 * Only forged messages lower a peer's score. The other rules punish quiet topics and peers that
 * share an address, both of which are normal here.
 */
const topicScore = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.9 ** (scoresEvery / 1_000)
})

export const gossipsubOptions = (mesh: MeshId): Partial<GossipsubOpts> => {
  const topics = gossipTopics.map((topic) => topicName(mesh, topic))
  return {
    globalSignaturePolicy: StrictNoSign,
    msgIdFn: contentId,
    allowedTopics: topics,
    // Whoever is alone tells nobody, and anti-entropy repairs it later.
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    emitSelf: false,
    fallbackToFloodsub: false,
    floodPublish: false,
    gossipFactor: 0.1,
    // Of the eight neighbours there are: what one message costs a node is a copy from and to each. At
    // four everybody is reached in log3(n) hops, and who was missed is told of it within a second.
    D: 4,
    Dlo: 3,
    Dhi: 6,
    Dscore: 2,
    Dout: 1,
    // Who is told each second, for three of them, of what there was, of those that are no neighbours. With
    // six (the default) what nobody asked for was twice as much as all messages; with two, halves that one
    // node joined heard of denials too late in 4 of 107 simulated runs, and with six in 2.
    Dlazy: 4,
    // "I have it" to every neighbour costs as much as the message, unless that is a large one.
    idontwantMinDataSize: 16 * 1024,
    // libp2p's connection manager decides nothing here.
    tagMeshPeers: false,
    doPX: false,
    maxInboundStreams: 8,
    maxOutboundStreams: 8,
    maxOutboundBufferSize: 4 * 1024 * 1024,
    // A signed record is at most 64 KiB; a frame may carry several.
    maxInboundDataLength: 1024 * 1024,
    scoreParams: {
      decayInterval: scoresEvery,
      IPColocationFactorWeight: 0,
      // Restarting nodes graft again within their back-off: no offence.
      behaviourPenaltyWeight: 0,
      topics: Object.fromEntries(topics.map((name) => [name, topicScore]))
    }
  }
}
