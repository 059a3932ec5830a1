/**
 * A member of the mesh that publishes records of many made-up members, in a process of its own, by
 * gossip over real connections. What it publishes was signed before. Settings come as JSON in CHURN;
 * says `ready` when the nodes have all members and are reached by gossip, and then takes orders.
 */
import { createServer } from "node:http"
import { Cause, Context, Effect, Either, Layer, Runtime, Schema } from "effect"
import { Gossip } from "../../src/mesh/host/Gossip.ts"
import { topicName } from "../../src/mesh/host/GossipsubOptions.ts"
import { layerLibp2p } from "../../src/mesh/host/Libp2pGossip.ts"
import { MeshHost } from "../../src/mesh/host/MeshHost.ts"
import { loadIdentity } from "../../src/mesh/keys/DataDir.ts"
import { makeStatementDoor } from "../../src/mesh/membership/Statement.ts"
import { PeerKey } from "../../src/model/Names.ts"
import { dueAt } from "../load/Schedule.ts"
import { ChurnOrder, ChurnReport, ChurnSettings } from "./Churn.ts"
import { startMadeUpHost } from "./MadeUpHost.ts"
import {
  byWatched,
  changesOf,
  denialOf,
  type MadeUpMember,
  makeUpMembers
} from "./MadeUpMembers.ts"

const settings = Schema.decodeSync(Schema.parseJson(ChurnSettings))(process.env["CHURN"] ?? "")
const decodeOrder = Schema.decodeSync(Schema.parseJson(ChurnOrder))
const encodeReport = Schema.encodeSync(Schema.parseJson(ChurnReport))

/** As many as one question of the mesh's RPC may offer. */
const atOnce = 64

/** Between two looks at what is due, ms. */
const pace = 2

const lookAgain = "20 millis"

const program = Effect.gen(function* () {
  const runFork = Runtime.runFork(yield* Effect.runtime<never>())
  const founder = yield* loadIdentity(settings.dataDir)
  const nodes = settings.nodes.map(({ peer, addresses }) => ({
    peer: PeerKey.make(peer),
    addresses
  }))
  const addressesOf = (peer: PeerKey) => nodes.find((it) => it.peer === peer)?.addresses ?? []
  const peers = nodes.map(({ peer }) => peer)
  const all = makeUpMembers(founder, settings.members, Date.now())
  const { watched, others } = byWatched(peers, all)
  const members = [...watched, ...others]
  const [speaker, ...rest] = watched
  if (speaker === undefined) return yield* Effect.dieMessage("no node watches a made-up member")
  const { host, keeper, clients } = yield* startMadeUpHost(speaker, addressesOf)
  for (const member of rest) yield* startMadeUpHost(member, () => [])

  const gossip = Context.get(
    yield* Layer.build(Layer.provide(layerLibp2p(), Layer.succeed(MeshHost, host))),
    Gossip
  )
  // One that no host stands behind may be accused all the same, by a node that was late itself.
  const door = makeStatementDoor({ current: founder })
  const byPeer = new Map(members.map((member) => [member.identity.peer, member]))
  yield* gossip.subscribe("membership", (bytes) => {
    const said = Either.getOrUndefined(door.admit(bytes, Date.now()))
    if (said === undefined) return "ignore"
    const accused = said.kind === "suspect" ? byPeer.get(said.subject) : undefined
    if (accused !== undefined) {
      runFork(gossip.publish("membership", denialOf(accused, said.incarnation)))
    }
    return "accept"
  })

  // The first records go straight to the nodes; gossip promises nothing. And in the order of `members`
  // to all nodes, since they tell each other of what one of them lacks.
  for (const { peer } of nodes) keeper.want(peer)
  const tell = (told: ReadonlyArray<MadeUpMember>) =>
    Effect.gen(function* () {
      const offered = changesOf(told, 0, told.length, Date.now())
      for (const { peer } of nodes) {
        const client = yield* clients.client(peer)
        yield* client.CatalogueExchange({ wanted: [], offered })
      }
    })
  yield* tell(watched)
  for (let at = 0; at < others.length; at += atOnce) yield* tell(others.slice(at, at + atOnce))
  const topic = topicName(host.mesh, "catalogue")
  const reached = () => host.libp2p.services.pubsub.getSubscribers(topic).length
  while (reached() < nodes.length) yield* Effect.sleep(lookAgain)

  let turn = 0
  let signed: ReadonlyArray<Uint8Array> = []
  let published = 0
  let began = 0
  let last = 0
  let cpu = process.cpuUsage()
  let pacer: NodeJS.Timeout | undefined

  const publishDue = (perSecond: number): void => {
    const due = dueAt(performance.now() - began, perSecond, signed.length)
    for (; published < due; published++) {
      runFork(gossip.publish("catalogue", signed[published]!))
      last = performance.now()
    }
  }

  const obey = (order: ChurnOrder): void => {
    clearInterval(pacer)
    switch (order.do) {
      case "sign": {
        // What is left over comes first: a version that was skipped would count as a change.
        const left = signed.slice(published)
        const more = Math.max(0, order.changes - left.length)
        signed = [...left, ...changesOf(members, turn, more, Date.now())]
        turn += more
        published = 0
        return
      }
      case "publish":
        began = performance.now()
        cpu = process.cpuUsage()
        pacer = setInterval(publishDue, pace, order.perSecond)
        return
      case "stop":
        return
    }
  }

  const report = (): string => {
    const end = published < signed.length ? performance.now() : last
    const seconds = Math.max(0, end - began) / 1_000
    const { user, system } = process.cpuUsage(cpu)
    return encodeReport({
      published,
      seconds,
      cpuShare: seconds === 0 ? 0 : (user + system) / 1e6 / seconds
    })
  }

  const server = createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => {
      text += chunk
    })
    request.on("end", () => {
      try {
        obey(decodeOrder(text))
        response.end(report())
      } catch (cause) {
        response.writeHead(500).end(String(cause))
      }
    })
  })
  server.listen(settings.port, "127.0.0.1", () => process.stdout.write("ready\n"))
  return yield* Effect.never
})

Effect.runFork(
  Effect.scoped(program).pipe(
    Effect.catchAllCause((cause) =>
      Effect.sync(() => {
        console.error(Cause.pretty(cause))
        process.exit(1)
      })
    )
  )
)
