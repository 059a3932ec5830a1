/** Nodes of a mesh on this machine: how one is made, let in, started and asked. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import { stringify } from "yaml"
import { type Child, runChild, startChild } from "./Child.ts"
import { freePorts } from "./Ports.ts"
import { eventually, StepFailed } from "./StepFailed.ts"

/** Where a node has its files and its ports. */
export interface NodePlace {
  readonly name: string
  readonly directory: string
  /** Addresses as host:port. */
  readonly admin: string
  readonly proxy: string
  readonly mesh: number
}

const started = process.argv[1] ?? ""
/** The demo is a command of Skein's, and its nodes run what it was started with; else the build. */
const skein = started.endsWith(join("examples", "main.ts"))
  ? join(import.meta.dirname, "..", "..", "dist", "skein.js")
  : started

/** Gone with the scope. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "skein-demo-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** Places for nodes of these names, below `directory`. */
export const planNodes = <Name extends string>(directory: string, names: ReadonlyArray<Name>) =>
  Effect.map(freePorts(3 * names.length), (ports) =>
    names.map((name, i) => ({
      name,
      directory: join(directory, name),
      admin: `127.0.0.1:${ports[3 * i]}`,
      proxy: `127.0.0.1:${ports[3 * i + 1]}`,
      mesh: ports[3 * i + 2]!
    }))
  )

const configPath = (node: NodePlace): string => join(node.directory, "skein.yaml")

/** `rest`: of the config, beside name, ports and data directory; `outbound` beside the proxy. */
export const writeConfig = (
  node: NodePlace,
  { outbound, ...rest }: { readonly outbound?: object; readonly [key: string]: unknown } = {}
): Effect.Effect<void> =>
  Effect.sync(() => {
    mkdirSync(node.directory, { recursive: true })
    const config = {
      node: {
        name: node.name,
        dataDir: join(node.directory, "data"),
        listen: [`/ip4/127.0.0.1/tcp/${node.mesh}`]
      },
      admin: node.admin,
      outbound: { http: node.proxy, ...outbound },
      drain: { deadline: "2s" },
      ...rest
    }
    writeFileSync(configPath(node), stringify(config))
  })

/** `skein init` for the mesh's first node. */
export const initMesh = (node: NodePlace) =>
  runChild({
    name: "skein init",
    script: skein,
    args: [
      "init",
      "--data-dir",
      join(node.directory, "data"),
      "--mesh",
      "demo",
      "--name",
      node.name
    ]
  })

/** `skein invite` on a member: a token that lets one host in. */
export const invite = (
  member: NodePlace,
  ...options: ReadonlyArray<string>
): Effect.Effect<string, StepFailed> =>
  Effect.map(
    runChild({
      name: "skein invite",
      script: skein,
      args: ["invite", "--admin", member.admin, ...options]
    }),
    ({ stdout }) => stdout
  )

/** `skein apply` on a member: holds in the whole mesh from then on. Gives by how many it was seen. */
export const applySettings = (member: NodePlace, settings: object) =>
  Effect.suspend(() => {
    const file = join(member.directory, "settings.yaml")
    writeFileSync(file, stringify(settings))
    return runChild({
      name: "skein apply",
      script: skein,
      args: ["apply", "-f", file, "--config", configPath(member)]
    })
  }).pipe(Effect.map(({ output }) => /^seen by .*$/m.exec(output)?.[0] ?? output))

/** Starts a node and waits until it says that it is ready. */
export const startNode = (
  node: NodePlace,
  token?: string
): Effect.Effect<Child, StepFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const verb = token === undefined ? ["up"] : ["join", token]
    const child = yield* startChild({
      name: node.name,
      script: skein,
      args: [...verb, "--config", configPath(node)]
    })
    const state = yield* eventually(
      `${node.name} is ready`,
      20,
      Effect.tryPromise(async (signal) => {
        const ended = child.ended()
        if (ended !== undefined) return ended
        const { status } = await fetch(`http://${node.admin}/ready`, { signal })
        return status === 200 ? "ready" : undefined
      })
    )
    if (state !== "ready") return yield* new StepFailed({ message: `${state}:\n${child.output()}` })
    return child
  })

/** A mesh of one node, which has a proxy: what programs of examples join. */
export const startOneNode = (config: object = {}) =>
  Effect.gen(function* () {
    const [node] = yield* planNodes(yield* temporaryDirectory, ["host-a"])
    if (node === undefined) return yield* new StepFailed({ message: "no node was planned" })
    yield* writeConfig(node, { ...config })
    yield* initMesh(node)
    yield* startNode(node)
    return node
  })

/** What a node has counted under this name, all labels together. */
export const counted = (asked: NodePlace, metric: string, label: string) =>
  Effect.tryPromise({
    try: async (signal) => {
      const text = await (await fetch(`http://${asked.admin}/metrics`, { signal })).text()
      return text
        .split("\n")
        .filter((line) => line.startsWith(`${metric}{`) && line.includes(label))
        .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0)
    },
    catch: (cause) => new StepFailed({ message: `the metrics of ${asked.name}: ${cause}` })
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

const ask = <A, I>(node: NodePlace, path: string, schema: Schema.Schema<A, I>) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://${node.admin}/api/v1/${path}`, { signal })
    if (!response.ok) throw new Error(`${path} answered ${response.status}`)
    return response.json()
  }).pipe(Effect.flatMap(Schema.decodeUnknown(schema)))

/** What one node says of another: `alive`, `suspect`, `dead`, `left`, or undefined when unknown. */
export const stateOf = (asked: NodePlace, name: string) =>
  Effect.map(
    ask(asked, "members", Members),
    (members) => members.find(({ node }) => node === name)?.state
  )

/** Instances of a service that a node may use right now. */
export const usable = (asked: NodePlace, service: string) =>
  Effect.map(
    ask(asked, `services/${service}/endpoints`, Endpoints),
    (endpoints) => endpoints.filter((e) => e.healthy && !e.draining && e.member === "alive").length
  )
