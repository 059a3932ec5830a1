/** Programs that run actors: two of a way that call each other's, or one alone. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { type Host, TestMesh } from "../../test/fixtures/Mesh.ts"
import { freePort, type Running, start, until } from "../../test/fixtures/Processes.ts"
import type { ProcessTree } from "../ProcessTree.ts"
import { treeOf } from "../peers/Peer.ts"
import { builtProgram, runtimeOf } from "../peers/SkeinPair.ts"
import { Order, Outcome, type Way } from "./ActorContract.ts"

const program = join(import.meta.dirname, "ActorProgram.ts")

const encode = Schema.encodeSync(Order)
const decode = Schema.decodeUnknownSync(Outcome)

/** Of `actorType` in the mesh. */
const service = "actor-bench"

export class ActorProcess {
  readonly tree: ProcessTree
  readonly #running: Running
  #told = 0

  constructor(running: Running) {
    this.#running = running
    this.tree = treeOf(running)
  }

  get pid(): number {
    return this.tree.root
  }

  /** Has it do that, for at most so many seconds. */
  async tell(order: Order, seconds: number): Promise<Outcome> {
    this.#running.child.stdin?.write(`${encode(order)}\n`)
    const line = await until(
      `the actors' program has done ${order.do}`,
      () => {
        const lines = this.#running.output().split("\n").slice(0, -1)
        return lines.filter((text) => text.startsWith("{"))[this.#told]
      },
      seconds,
      [this.#running]
    )
    this.#told++
    return decode(line)
  }

  stop(): Promise<unknown> {
    return this.#running.stop()
  }
}

export interface ActorWay {
  readonly way: Way
  readonly label: string
  /** A program that runs actors under that name: two of different names are two hosts. */
  start(name: string): Promise<ActorProcess>
  /** Nodes that are not in those programs. */
  readonly nodes: ReadonlyArray<ProcessTree>
}

export const reference = "@effect/cluster"

const directoryOf = (parent: string, name: string): string => {
  const path = join(parent, name)
  mkdirSync(path, { recursive: true })
  return path
}

const socketOf = (directory: string, host: string): string => `unix:${join(directory, host)}.sock`

/** Where a program's V8 profile goes, if one is wanted. */
const profiling = (name: string, profiles: string | undefined): ReadonlyArray<string> =>
  profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profiles, name)}`]

/** All of them, in one mesh of two hosts. */
export const startActorWays = async (
  stack: AsyncDisposableStack,
  directory: string,
  profiles: string | undefined
): Promise<ReadonlyArray<ActorWay>> => {
  const mesh = new TestMesh()
  stack.defer(() => mesh.stop())
  const built = { runtime: runtimeOf(undefined), program: builtProgram() }
  const programs = (host: string) => ({ ...built, programs: { listen: socketOf(directory, host) } })
  const first = await mesh.first("host-a", programs("host-a"))
  await mesh.join("host-b", programs("host-b"))

  const startOne = async (way: Way, name: string, at: string, data: string) => {
    const what = `${name} of the actors (${way})`
    const flags = profiling(`${way}-${name}`, profiles)
    const running = start(process.execPath, [...flags, program, way, name, at, data], {
      ...{ what, told: true }
    })
    await until(
      `${what} is ready`,
      () => (running.output().includes("ready\n") ? true : undefined),
      40,
      [running]
    )
    return new ActorProcess(running)
  }
  const nodesOf = (hosts: ReadonlyArray<Host>) =>
    hosts.flatMap(({ process }) => (process === undefined ? [] : [treeOf(process)]))
  const runners = directoryOf(directory, "runners")
  return [
    {
      ...{ way: "mesh", label: "skein", nodes: [] },
      start: async (name) =>
        startOne(
          "mesh",
          name,
          await first.invite("--services", service),
          directoryOf(directory, name)
        )
    },
    {
      ...{ way: "attached", label: "skein, attached", nodes: nodesOf(mesh.hosts) },
      start: (name) =>
        startOne("attached", name, socketOf(directory, name === "a" ? "host-a" : "host-b"), "")
    },
    {
      ...{ way: "cluster", label: reference, nodes: [] },
      start: async (name) => startOne("cluster", name, String(await freePort()), runners)
    }
  ]
}
