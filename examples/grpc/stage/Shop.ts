/** The three hosts of the shop: a node on each, and the programs beside them. */
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { type Child, startChild } from "../../stage/Child.ts"
import type { Narrator } from "../../stage/Narrator.ts"
import {
  initMesh,
  invite,
  type NodePlace,
  planNodes,
  startNode,
  temporaryDirectory,
  usable,
  writeConfig
} from "../../stage/Nodes.ts"
import { eventually, StepFailed } from "../../stage/StepFailed.ts"
import { startCollector, type TraceCollector } from "../../stage/TraceCollector.ts"
import {
  type Language,
  languageOf,
  programOf,
  type Service,
  serviceNames,
  spoken
} from "./Languages.ts"
import { type Names, namesByResolver, namesByTarget } from "./Names.ts"

/** By number: order on the first host, and no two that call each other on one. */
const hostOf: Readonly<Record<Service, number>> = {
  order: 0,
  inventory: 1,
  payment: 2,
  shipping: 2
}
const hostNames = ["host-a", "host-b", "host-c"]

interface ShopProgram {
  readonly service: Service
  readonly address: string
  readonly child: Child
}

export interface Shop {
  readonly nodes: ReadonlyArray<NodePlace>
  readonly programs: ReadonlyArray<ShopProgram>
  readonly names: Names
  readonly collector: TraceCollector
}

/** A program of the shop; gives it with the address it says it listens on. */
const startProgram = (service: Service, wanted: ReadonlyArray<Language>, names: Names) =>
  Effect.gen(function* () {
    const { runtime, script } = yield* programOf(service, wanted)
    const host = hostOf[service]
    const child = yield* startChild({
      name: service,
      runtime: [...names.enter(host), ...runtime],
      script,
      env: { ...names.env(host), PORT: "0" }
    })
    const said = yield* eventually(
      `${service} listens`,
      20,
      Effect.sync(() => / listens on (\S+)/.exec(child.output())?.[1] ?? child.ended())
    )
    if (said !== child.ended()) return { service, address: said, child }
    return yield* new StepFailed({ message: `${said}: ${child.output()}` })
  })

/** What a node is told beside its name and ports. */
const configOf = (host: number, { names, programs, collector }: Omit<Shop, "nodes">) => ({
  dns: names.dns(host),
  services: programs
    .filter(({ service }) => hostOf[service] === host)
    .map(({ service: name, address }) => ({
      ...{ name, address, protocol: "grpc", port: names.port },
      health: { tcp: { interval: "1s" } }
    })),
  telemetry: { otlp: collector.url, sample: 0 }
})

/** Every node knows where every service is. */
const allUsable = (nodes: ReadonlyArray<NodePlace>) =>
  Effect.gen(function* () {
    for (const node of nodes) {
      for (const service of serviceNames) if ((yield* usable(node, service)) === 0) return undefined
    }
    return true
  })

/** All of it, until the scope closes. `inside`: of namespaces, where resolv.conf is ours. */
export const openShop = (
  { say, step }: Narrator,
  wanted: ReadonlyArray<Language>,
  inside: boolean
): Effect.Effect<Shop, StepFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const names = yield* inside ? namesByResolver(directory) : namesByTarget(hostNames.length)
    const nodes = yield* planNodes(directory, hostNames)
    const collector = yield* startCollector
    yield* say(
      "Four services, each in a language of its own. They know nothing of a mesh: they call",
      `inventory.mesh:${names.port} and so on, by what gRPC their language brings.`
    )
    const programs = yield* step(
      "the shop's programs run",
      Effect.forEach(serviceNames, (service) => startProgram(service, wanted, names), {
        concurrency: "unbounded"
      }),
      (all) =>
        all.map(({ service }) => `${service} (${spoken[languageOf(service, wanted)]})`).join(", ")
    )
    const shop = { nodes, programs, names, collector }
    for (const [host, node] of nodes.entries()) yield* writeConfig(node, configOf(host, shop))
    const [first, ...others] = nodes
    if (first === undefined) return yield* new StepFailed({ message: "no node was planned" })
    yield* step(
      "three hosts have a node each, in one mesh",
      Effect.gen(function* () {
        yield* initMesh(first)
        yield* startNode(first)
        const join = (node: NodePlace) =>
          Effect.flatMap(invite(first), (token) => startNode(node, token))
        yield* Effect.forEach(others, join, { concurrency: "unbounded" })
        yield* eventually("every node can call every service", 30, allUsable(nodes))
      }),
      () => hostNames.join(", ")
    )
    return shop
  })

/** How a customer on the first host orders: what runs it, and with which environment. */
export const customerOf = ({ names }: Shop) => ({
  name: "the customer",
  runtime: [...names.enter(0), process.execPath],
  script: join(import.meta.dirname, "..", "typescript", "customer.ts"),
  env: names.env(0)
})
