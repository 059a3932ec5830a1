/** A program that calls, one that serves, and what is between them. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { type Host, TestMesh } from "../../test/fixtures/Mesh.ts"
import { freePort, type Running, start, until } from "../../test/fixtures/Processes.ts"
import type { ProcessTree } from "../ProcessTree.ts"
import { treeOf } from "../peers/Peer.ts"
import { builtProgram, runtimeFlags, runtimeOf } from "../peers/SkeinPair.ts"
import { serviceOf } from "./RpcContract.ts"

/** A line of the client's. */
const Outcome = Schema.parseJson(
  Schema.Struct({
    calls: Schema.Positive,
    errors: Schema.NonNegativeInt,
    seconds: Schema.Positive,
    p50: Schema.Finite,
    p99: Schema.Finite
  })
)
export type Outcome = typeof Outcome.Type

export interface RpcPair {
  readonly label: string
  /** Both programs; with `mesh` their nodes are in them. */
  readonly programs: ReadonlyArray<ProcessTree>
  /** Those of the hosts on the way; none where there are none. */
  readonly nodes: ReadonlyArray<ProcessTree>
  /** So many calls at a time, for so long. */
  run(concurrency: number, seconds: number): Promise<Outcome>
}

const program = (name: string): string => join(import.meta.dirname, `Rpc${name}Program.ts`)

const startProgram = async (
  name: string,
  says: string,
  args: ReadonlyArray<string>
): Promise<Running> => {
  const what = `the RPC ${name.toLowerCase()} (${args[0]})`
  const running = start(process.execPath, [...runtimeFlags, program(name), ...args], {
    ...{ what, told: true }
  })
  const said = () => (running.output().includes(`${says}\n`) ? true : undefined)
  await until(`${what} says ${says}`, said, 40, [running])
  return running
}

const pairOf = (
  label: string,
  client: Running,
  server: Running,
  hosts: ReadonlyArray<Host>
): RpcPair => {
  let told = 0
  return {
    label,
    programs: [treeOf(client), treeOf(server)],
    nodes: hosts.flatMap(({ process }) => (process === undefined ? [] : [treeOf(process)])),
    run: async (concurrency, seconds) => {
      client.child.stdin?.write(`${concurrency} ${seconds}\n`)
      const line = await until(
        `${label} has called`,
        () => {
          const lines = client.output().split("\n").slice(0, -1)
          return lines.filter((text) => text.startsWith("{"))[told]
        },
        seconds + 30,
        [client, server, ...hosts.flatMap(({ process }) => process ?? [])]
      )
      told++
      return Schema.decodeUnknownSync(Outcome)(line)
    }
  }
}

/** The mesh alone: two programs with a node each, let in by a host that is on no way. */
const overMesh = async (
  mesh: TestMesh,
  directory: string,
  label: string,
  transport: "mesh" | "mesh-http"
): Promise<RpcPair> => {
  const [host] = mesh.hosts
  if (host === undefined) throw new Error("there is no mesh to join")
  const data = (name: string): string => {
    const path = join(directory, `${name}-${transport}`)
    mkdirSync(path, { recursive: true })
    return path
  }
  const toServe = await host.invite("--services", serviceOf(transport))
  const server = await startProgram("Server", "serving", [transport, toServe, data("server")])
  const toCall = await host.invite()
  const client = await startProgram("Client", "ready", [transport, toCall, data("client")])
  return pairOf(label, client, server, [])
}

/** Where programs attach to the node of a host. */
const socketOf = (directory: string, host: string): string => `unix:${join(directory, host)}.sock`

/** The same: two programs that are attached to the nodes of two hosts. */
const attached = async (
  mesh: TestMesh,
  directory: string,
  label: string,
  transport: "attached" | "attached-http"
): Promise<RpcPair> => {
  const to = (host: string) => [transport, socketOf(directory, host)]
  const server = await startProgram("Server", "serving", to("host-b"))
  const client = await startProgram("Client", "ready", to("host-a"))
  return pairOf(label, client, server, mesh.hosts)
}

/** What a host's node calls it that the transport speaks, and where callers on the other host call it. */
const protocolOf = { socket: "tcp", http: "http", grpc: "grpc" } as const
export type Plain = keyof typeof protocolOf

const labels: Readonly<Record<Plain, string>> = {
  socket: "@effect/rpc, socket",
  http: "@effect/rpc, HTTP",
  grpc: "@grpc/grpc-js"
}

/** The reference: what one has without Effect and without a mesh. */
export const reference = labels.grpc

/** All of them, side by side: each transport direct, and through the nodes of two hosts. */
export const startRpcPairs = async (
  stack: AsyncDisposableStack,
  directory: string,
  say: (text: string) => void
): Promise<ReadonlyArray<RpcPair>> => {
  const plain: ReadonlyArray<Plain> = ["socket", "http", "grpc"]
  const ports = await Promise.all(
    plain.map(async (transport) => ({
      transport,
      served: await freePort(),
      called: await freePort()
    }))
  )
  const mesh = new TestMesh()
  stack.defer(() => mesh.stop())
  const built = { runtime: runtimeOf(undefined), program: builtProgram() }
  say("starting two hosts")
  await mesh.first("host-a", {
    ...built,
    programs: { listen: socketOf(directory, "host-a") },
    upstreams: ports.map(({ transport, called }) => ({
      service: serviceOf(transport),
      listen: `127.0.0.1:${called}`,
      protocol: protocolOf[transport]
    }))
  })
  await mesh.join("host-b", {
    ...built,
    programs: { listen: socketOf(directory, "host-b") },
    services: ports.map(({ transport, served }) => ({
      name: serviceOf(transport),
      address: `127.0.0.1:${served}`,
      protocol: protocolOf[transport]
    }))
  })
  say("starting skein")
  const pairs = [
    await overMesh(mesh, directory, "skein", "mesh"),
    await attached(mesh, directory, "skein, attached", "attached"),
    await overMesh(mesh, directory, "skein, plain HTTP", "mesh-http"),
    await attached(mesh, directory, "skein, plain HTTP, attached", "attached-http")
  ]
  for (const { transport, served, called } of ports) {
    say(`starting ${labels[transport]}`)
    const server = await startProgram("Server", "serving", [transport, String(served)])
    const client = (port: number) =>
      startProgram("Client", "ready", [transport, `127.0.0.1:${port}`])
    pairs.push(pairOf(labels[transport], await client(served), server, []))
    const through = `${labels[transport]}, through two nodes`
    pairs.push(pairOf(through, await client(called), server, mesh.hosts))
  }
  return pairs
}
