/**
 * A peer is a way from the load to the upstream: two proxies, the caller's side and the service's
 * side, with mutual TLS (Skein: Noise) between them, as a mesh would put them on two hosts.
 */
import type { Host } from "../../test/fixtures/Mesh.ts"
import { type Running, start, until } from "../../test/fixtures/Processes.ts"
import type { Certificates } from "../Certificates.ts"
import { ProcessTree } from "../ProcessTree.ts"
import type { Tools } from "../Tools.ts"
import { expectAnswer, type Speech } from "./Speech.ts"

export const peerNames = ["skein", "haproxy", "nginx", "envoy", "node", "bare", "direct"] as const
export type PeerName = (typeof peerNames)[number]

/** Where a peer is set up. */
export interface Site {
  /** A directory of this peer's own. */
  readonly directory: string
  /** host:port of the upstream. */
  readonly upstream: string
  /** What is spoken on both sides of the pair, by the load and with the upstream. */
  readonly speech: Speech
  readonly certificates: Certificates
  readonly tools: Tools
  /** Run Skein from dist/ instead of src/. */
  readonly built: boolean
  /** Write CPU profiles of both Skein nodes here. */
  readonly profiles: string | undefined
  /** Threads or workers of each side; undefined: one, and for Skein what it takes by itself. */
  readonly threads: number | undefined
}

export interface Pair {
  readonly name: PeerName
  /** In tables: the name, and how it runs where it runs in several ways. */
  readonly label: string
  /** Label of the pair that this one is also divided by: the same with fewer threads. */
  readonly over: string | undefined
  /** host:port where requests enter. */
  readonly entry: string
  /** What requests carry as Host. */
  readonly host: string
  /** Both proxies; undefined where there are none. */
  readonly sides: { readonly client: ProcessTree; readonly server: ProcessTree } | undefined
  /** Skein's nodes, the caller's side first. */
  readonly nodes?: ReadonlyArray<Host>
  stop(): Promise<unknown>
}

/** What a row of figures about the pair begins with. */
export const rowHead = (name: string, { label, over }: Pick<Pair, "label" | "over">) => ({
  case: name,
  peer: label,
  ...(over === undefined ? {} : { over }),
  errors: 0
})

/** What a peer itself knows of its pair. */
export type StartedPair = Omit<Pair, "label" | "over">

export type StartPair = (site: Site) => Promise<StartedPair>

/** The peer cannot be had on this machine; the others go on without it. */
export class PeerAbsent extends Error {
  constructor(why: string) {
    super(why)
    this.name = "PeerAbsent"
  }
}

export const treeOf = ({ child }: Running): ProcessTree => {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`)
  return new ProcessTree(child.pid)
}

/** Waits until the upstream's answer comes through the pair, or one of its programs has ended. */
export const answers = async (
  name: string,
  entry: string,
  host: string,
  programs: ReadonlyArray<Running>,
  speech: Speech = "http1"
): Promise<void> => {
  await until(
    `${name} relays the upstream's answer`,
    async () => {
      await expectAnswer(entry, host, speech)
      return true
    },
    20,
    programs
  )
}

/** A program that is one side of a pair. */
export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
}

/** Both sides as processes; they are stopped again when the pair does not come to answer. */
export const startPair = async (
  name: PeerName,
  speech: Speech,
  port: number,
  client: Program,
  server: Program
): Promise<StartedPair> => {
  const run = (side: string, { command, args, env }: Program) =>
    start(command, args, { what: `${name}'s ${side} side`, ...(env === undefined ? {} : { env }) })
  const sides = { server: run("server", server), client: run("client", client) }
  // SIGTERM: a killed nginx master would leave its worker behind.
  const stop = () => Promise.all([sides.client.stop(), sides.server.stop()])
  const entry = `127.0.0.1:${port}`
  const host = "bench.mesh"
  try {
    await answers(`the ${name} pair`, entry, host, [sides.client, sides.server], speech)
    return {
      name,
      entry,
      host,
      sides: { client: treeOf(sides.client), server: treeOf(sides.server) },
      stop
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}
