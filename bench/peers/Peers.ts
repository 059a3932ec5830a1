/** Starts the upstream and the wanted peers in front of it, side by side. */
import { join } from "node:path"
import { makeCertificates } from "../Certificates.ts"
import { startGrpcUpstream } from "../GrpcUpstream.ts"
import type { Bench } from "../Question.ts"
import type { Result } from "../Result.ts"
import { type ToolName, toolOf } from "../Tools.ts"
import { startUpstream, type Upstream } from "../Upstream.ts"
import { startBarePair } from "./BarePair.ts"
import { startDirect } from "./Direct.ts"
import { startEnvoy } from "./EnvoyPair.ts"
import { startHaproxy } from "./HaproxyPair.ts"
import { startNginxPair } from "./NginxPair.ts"
import { startNodePair } from "./NodePair.ts"
import { type Pair, PeerAbsent, type PeerName, type StartPair } from "./Peer.ts"
import { startSkein } from "./SkeinPair.ts"
import type { Speech } from "./Speech.ts"
import { waysOf } from "./Ways.ts"

const starters: Readonly<Record<PeerName, StartPair>> = {
  skein: startSkein,
  haproxy: startHaproxy,
  nginx: startNginxPair,
  envoy: startEnvoy,
  node: startNodePair,
  bare: startBarePair,
  direct: startDirect
}

/** What peers and upstream need of the system. */
export const pairTools: ReadonlyArray<ToolName> = ["nginx", "haproxy", "openssl"]

export interface Field {
  readonly upstream: Upstream
  readonly pairs: ReadonlyArray<Pair>
  readonly absent: Result["absent"]
}

/** They run until the bench is over. A peer that cannot be had is told of and left out. */
export const startField = async (
  bench: Bench,
  names: ReadonlyArray<PeerName>,
  speech: Speech = "http1"
): Promise<Field> => {
  const { tools, directory, stack, say, options } = bench
  const certificates = makeCertificates(toolOf(tools, "openssl"), join(directory, "certificates"))
  const files = join(directory, "upstream")
  const upstream = await startUpstream(
    ...([toolOf(tools, "nginx"), files, speech === "grpc" ? "http1" : speech] as const)
  )
  stack.defer(async () => void (await upstream.stop()))
  let { address } = upstream
  if (speech === "grpc") {
    // nginx answers no calls of gRPC by itself.
    const answers = await startGrpcUpstream()
    stack.defer(async () => void (await answers.stop()))
    address = answers.address
  }
  const pairs: Array<Pair> = []
  const absent: Array<{ peer: string; why: string }> = []
  for (const { name, threads, label, over } of names.flatMap((name) => waysOf(name, options))) {
    say(`starting ${label}`)
    const site = {
      directory: join(directory, label.replaceAll(/[, ]+/g, "-")),
      upstream: address,
      speech,
      certificates,
      tools,
      built: options.built,
      profiles: options.profiles,
      threads
    }
    try {
      const pair = { ...(await starters[name](site)), label, over }
      stack.defer(async () => void (await pair.stop()))
      pairs.push(pair)
    } catch (cause) {
      if (!(cause instanceof PeerAbsent)) throw cause
      absent.push({ peer: label, why: cause.message })
    }
  }
  return { upstream, pairs, absent }
}

/** Skein and HAProxy are what everything is judged by: they run whatever was asked for. */
const always: ReadonlyArray<PeerName> = ["skein", "haproxy"]

/** Those of a question that were asked for, and those it cannot do without. */
export const wantedPeers = (
  all: ReadonlyArray<PeerName>,
  wanted: ReadonlyArray<PeerName> | undefined,
  needed: ReadonlyArray<PeerName> = []
): ReadonlyArray<PeerName> =>
  wanted === undefined
    ? all
    : all.filter((name) => [...always, ...needed, ...wanted].includes(name))
