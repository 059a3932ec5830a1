/** The stage: three nodes that know each other, the shop's programs beside them, a customer. */
import { Effect, type Scope } from "effect"
import type { Child } from "../../stage/Child.ts"
import type { Narrator } from "../../stage/Narrator.ts"
import {
  initMesh,
  invite,
  startNode,
  stateOf,
  temporaryDirectory,
  usable
} from "../../stage/Nodes.ts"
import { eventually, type StepFailed } from "../../stage/StepFailed.ts"
import { startCollector, type TraceCollector } from "../../stage/TraceCollector.ts"
import { Customer } from "./Customer.ts"
import {
  type HostName,
  hostNames,
  placements,
  planLayout,
  type ShopLayout,
  serviceNames,
  startProgram,
  writeConfigs
} from "./Hosts.ts"

export interface Shop {
  readonly layout: ShopLayout
  readonly nodes: Record<HostName, Child>
  /** Address by instance. */
  readonly addresses: ReadonlyMap<string, string>
  readonly collector: TraceCollector
  readonly customer: Customer
}

/** Every instance that should be there, seen as usable from host-a. */
const allUsable = (layout: ShopLayout) =>
  Effect.gen(function* () {
    for (const service of serviceNames) {
      const wanted = placements.filter((placement) => placement.service === service).length
      if ((yield* usable(layout.hosts["host-a"], service)) < wanted) return undefined
    }
    return true
  })

/** Every node sees every node alive. */
export const allAlive = (layout: ShopLayout) =>
  Effect.gen(function* () {
    for (const host of Object.values(layout.hosts)) {
      for (const name of hostNames) {
        if ((yield* stateOf(host, name)) !== "alive") return undefined
      }
    }
    return true
  })

/** All of it, until the scope closes: then every process ends and every file goes. */
export const openShop = ({ step, say }: Narrator): Effect.Effect<Shop, StepFailed, Scope.Scope> =>
  Effect.gen(function* () {
    // The directory is taken away last, when everybody who writes into it has ended.
    const layout = yield* planLayout(yield* temporaryDirectory)
    const { "host-a": a, "host-b": b, "host-c": c } = layout.hosts
    const collector = yield* startCollector

    yield* say(
      "A shop is four ordinary HTTP programs: order, inventory, payment and shipping. They know",
      "nothing of a mesh; they call http://inventory.mesh/ through the proxy that HTTP_PROXY names."
    )
    const programs = yield* step(
      "the shop's programs run",
      Effect.forEach(placements, (placement) => startProgram(placement, layout), {
        concurrency: "unbounded"
      }),
      (all) => `${all.length} programs of ${serviceNames.length} services`
    )
    const addresses = new Map(programs.map(({ instance, address }) => [instance, address]))
    yield* writeConfigs(layout, collector.url, (instance) => addresses.get(instance) ?? "")

    yield* say(
      "Each host gets one node. The first makes the mesh; the others join it with one token each,",
      "the last one invited by host-b, for any member may let others in."
    )
    const nodeA = yield* step(
      "host-a makes the mesh and starts",
      initMesh(a).pipe(Effect.zipRight(startNode(a))),
      () => ""
    )
    const nodeB = yield* step(
      "host-b joins with a token from host-a",
      Effect.flatMap(invite(a), (token) => startNode(b, token)),
      () => ""
    )
    const nodeC = yield* step(
      "host-c joins with a token from host-b",
      Effect.flatMap(invite(b), (token) => startNode(c, token)),
      () => ""
    )
    yield* step(
      "every node knows every other, and host-a every instance",
      eventually("3 members alive everywhere", 20, allAlive(layout)).pipe(
        Effect.zipRight(eventually("all instances usable from host-a", 20, allUsable(layout)))
      ),
      () => ""
    )
    const customer = yield* Effect.acquireRelease(
      Effect.sync(() => new Customer(a.proxy)),
      (customer) => Effect.sync(() => customer.close())
    )
    const nodes = { "host-a": nodeA, "host-b": nodeB, "host-c": nodeC }
    return { layout, nodes, addresses, collector, customer }
  })

/** For people: what to look at and how to place an order. */
export const whatIsWhere = ({ layout, addresses }: Shop): ReadonlyArray<string> => [
  ...Object.values(layout.hosts).map((host) => {
    const here = placements
      .filter((placement) => placement.host === host.name)
      .map(({ instance }) => `${instance} (${addresses.get(instance)})`)
    return `  ${host.name}  admin http://${host.admin}  proxy ${host.proxy}  ${here.join(", ")}`
  }),
  `  shop    http://${layout.shopAddress}/`,
  "Order something yourself:",
  `  curl -x ${layout.hosts["host-a"].proxy} -d '{"item":"tea"}' http://order.mesh/orders`,
  `  curl -d '{"item":"tea"}' http://${layout.shopAddress}/orders`
]
