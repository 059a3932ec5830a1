/**
 * Three hosts on one machine: what runs where, each node's config, and what its admin API says.
 * The order service stands alone on host-a, where the customers come in; everything else stands
 * on both other hosts, so either of them may die.
 */
import { randomInt } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import { stringify } from "yaml"
import { type Child, runChild, startChild } from "./Child.ts"
import { DemoFailed, eventually } from "./DemoFailed.ts"

const shop = join(import.meta.dirname, "..")
/** The nodes run what the demo was started with: the build, or the sources. */
const skein = process.argv[1] ?? join(shop, "..", "..", "dist", "skein.js")

export const hostNames = ["host-a", "host-b", "host-c"] as const
export type HostName = (typeof hostNames)[number]

export const serviceNames = ["order", "inventory", "payment", "shipping"] as const
export type Service = (typeof serviceNames)[number]

/** One instance of a service. */
export interface Placement {
  readonly service: Service
  readonly instance: string
  readonly host: HostName
}

export const placements: ReadonlyArray<Placement> = [
  { service: "order", instance: "order", host: "host-a" },
  { service: "inventory", instance: "inventory-1", host: "host-b" },
  { service: "payment", instance: "payment-1", host: "host-b" },
  { service: "shipping", instance: "shipping-1", host: "host-b" },
  { service: "inventory", instance: "inventory-2", host: "host-c" },
  { service: "payment", instance: "payment-2", host: "host-c" },
  { service: "shipping", instance: "shipping-2", host: "host-c" }
]

export interface Host {
  readonly name: HostName
  readonly directory: string
  /** Addresses as host:port. */
  readonly admin: string
  readonly proxy: string
  readonly mesh: number
}

export interface ShopLayout {
  readonly hosts: Readonly<Record<HostName, Host>>
  /** On host-a: an ordinary URL that always reaches the order service. */
  readonly shopAddress: string
  /** On host-a: the proxy of the order service alone. Whoever uses it speaks for that service. */
  readonly orderProxy: string
}

/**
 * Ports nobody uses just now, all held until all are found, so that no two are the same. They lie
 * below those that systems give to whoever asks for any port, or connects: else one of the shop's
 * own programs could be given one of them before the node that is to have it has started.
 */
const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>, DemoFailed> =>
  Effect.tryPromise({
    try: async () => {
      const held = new Map<number, Server>()
      for (let tries = 0; held.size < count; tries++) {
        if (tries > 100 * count) throw new Error("every port tried was taken")
        const port = randomInt(10_000, 30_000)
        if (held.has(port)) continue
        const server = createServer()
        const listens = await new Promise<boolean>((resolve) => {
          server.once("error", () => resolve(false))
          server.listen(port, "127.0.0.1", () => resolve(true))
        })
        if (listens) held.set(port, server)
      }
      await Promise.all(
        Array.from(held.values(), (server) => new Promise((closed) => server.close(closed)))
      )
      return [...held.keys()]
    },
    catch: (cause) => new DemoFailed({ message: `no free port on 127.0.0.1: ${cause}` })
  })

export const planLayout = (directory: string): Effect.Effect<ShopLayout, DemoFailed> =>
  Effect.map(freePorts(11), (ports) => {
    const host = (name: HostName, first: number): Host => ({
      name,
      directory: join(directory, name),
      admin: `127.0.0.1:${ports[first]}`,
      proxy: `127.0.0.1:${ports[first + 1]}`,
      mesh: ports[first + 2]!
    })
    return {
      hosts: {
        "host-a": host("host-a", 0),
        "host-b": host("host-b", 3),
        "host-c": host("host-c", 6)
      },
      shopAddress: `127.0.0.1:${ports[9]}`,
      orderProxy: `127.0.0.1:${ports[10]}`
    }
  })

/** The calls of the order service: every one is named by the order's id, so it may be repeated. */
const policies = {
  payment: {
    timeout: { request: "3s", perTry: "500ms" },
    retry: { attempts: 2, on: ["connect_failure", "reset", "5xx", "timeout"] }
  },
  inventory: { timeout: { request: "3s", perTry: "1s" }, ejection: { base: "2s" } },
  shipping: { timeout: { request: "3s", perTry: "1s" }, ejection: { base: "2s" } }
}

const configOf = (
  layout: ShopLayout,
  host: Host,
  otlp: string,
  addressOf: (instance: string) => string
): string =>
  stringify({
    node: {
      name: host.name,
      dataDir: join(host.directory, "data"),
      listen: [`/ip4/127.0.0.1/tcp/${host.mesh}`]
    },
    admin: host.admin,
    outbound: {
      http: host.proxy,
      ...(host.name === "host-a" ? { listeners: [{ listen: layout.orderProxy, as: "order" }] } : {})
    },
    services: placements
      .filter((placement) => placement.host === host.name)
      .map(({ service, instance }) => ({
        name: service,
        address: addressOf(instance),
        health: { http: { path: "/healthz", interval: "1s" } }
      })),
    ...(host.name === "host-a"
      ? {
          upstreams: [{ service: "order", listen: layout.shopAddress, protocol: "http" }],
          policies
        }
      : {}),
    telemetry: { otlp, sample: 0 },
    drain: { deadline: "2s" }
  })

const configPath = (host: Host): string => join(host.directory, "skein.yaml")

export const writeConfigs = (
  layout: ShopLayout,
  otlp: string,
  addressOf: (instance: string) => string
): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const host of Object.values(layout.hosts)) {
      mkdirSync(host.directory, { recursive: true })
      writeFileSync(configPath(host), configOf(layout, host, otlp, addressOf))
    }
  })

/** A program of the shop; gives it with the address it says it listens on. */
export const startProgram = (placement: Placement, layout: ShopLayout) =>
  Effect.gen(function* () {
    const proxy =
      placement.service === "order" ? layout.orderProxy : layout.hosts[placement.host].proxy
    const child = yield* startChild({
      name: placement.instance,
      script: join(shop, `${placement.service}.js`),
      args: ["--name", placement.instance, "--port", "0"],
      env: { HTTP_PROXY: `http://${proxy}` }
    })
    const address = yield* eventually(
      `${placement.instance} listens`,
      10,
      Effect.sync(() => / listens on (\S+)/.exec(child.output())?.[1])
    )
    return { ...placement, child, address }
  })

/** `skein init` for the mesh's first host. */
export const initMesh = (host: Host) =>
  runChild({
    name: "skein init",
    script: skein,
    args: [
      "init",
      "--data-dir",
      join(host.directory, "data"),
      "--mesh",
      "demo",
      "--name",
      host.name
    ]
  })

/** `skein invite` on a member: a token that lets one host in. */
export const invite = (member: Host): Effect.Effect<string, DemoFailed> =>
  Effect.map(
    runChild({ name: "skein invite", script: skein, args: ["invite", "--admin", member.admin] }),
    ({ stdout }) => stdout
  )

/** `skein apply` on a member: holds in the whole mesh from then on. Gives by how many it was seen. */
export const applySettings = (member: Host, settings: object) =>
  Effect.suspend(() => {
    const file = join(member.directory, "settings.yaml")
    writeFileSync(file, stringify(settings))
    return runChild({
      name: "skein apply",
      script: skein,
      args: ["apply", "-f", file, "--config", configPath(member)]
    })
  }).pipe(Effect.map(({ output }) => /^seen by .*$/m.exec(output)?.[0] ?? output))

/** What a node has counted under this name, all labels together. */
export const counted = (asked: Host, metric: string, label: string) =>
  Effect.tryPromise({
    try: async (signal) => {
      const text = await (await fetch(`http://${asked.admin}/metrics`, { signal })).text()
      return text
        .split("\n")
        .filter((line) => line.startsWith(`${metric}{`) && line.includes(label))
        .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0)
    },
    catch: (cause) => new DemoFailed({ message: `the metrics of ${asked.name}: ${cause}` })
  })

/** Starts a node and waits until it says that it is ready. */
export const startNode = (
  host: Host,
  token?: string
): Effect.Effect<Child, DemoFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const verb = token === undefined ? ["up"] : ["join", token]
    const child = yield* startChild({
      name: host.name,
      script: skein,
      args: [...verb, "--config", configPath(host)]
    })
    const state = yield* eventually(
      `${host.name} is ready`,
      20,
      Effect.tryPromise(async (signal) => {
        const ended = child.ended()
        if (ended !== undefined) return ended
        const { status } = await fetch(`http://${host.admin}/ready`, { signal })
        return status === 200 ? "ready" : undefined
      })
    )
    if (state !== "ready") return yield* new DemoFailed({ message: `${state}:\n${child.output()}` })
    return child
  })

const Members = Schema.Array(Schema.Struct({ node: Schema.String, state: Schema.String }))

const Endpoints = Schema.Array(
  Schema.Struct({
    node: Schema.String,
    healthy: Schema.Boolean,
    draining: Schema.Boolean,
    member: Schema.String
  })
)

const ask = <A, I>(host: Host, path: string, schema: Schema.Schema<A, I>) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://${host.admin}/api/v1/${path}`, { signal })
    if (!response.ok) throw new Error(`${path} answered ${response.status}`)
    return response.json()
  }).pipe(Effect.flatMap(Schema.decodeUnknown(schema)))

/** What one node says of another: `alive`, `suspect`, `dead`, `left`, or undefined when unknown. */
export const stateOf = (asked: Host, name: HostName) =>
  Effect.map(
    ask(asked, "members", Members),
    (members) => members.find(({ node }) => node === name)?.state
  )

/** Instances of a service that a node may use right now. */
export const usable = (asked: Host, service: Service) =>
  Effect.map(
    ask(asked, `services/${service}/endpoints`, Endpoints),
    (endpoints) => endpoints.filter((e) => e.healthy && !e.draining && e.member === "alive").length
  )
