/** Two nodes with default config: host-a, where the load comes in, and host-b, which offers it. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { type HostOptions, root, TestMesh } from "../../test/fixtures/Mesh.ts"
import { until } from "../../test/fixtures/Processes.ts"
import { answers, type Site, type StartPair, treeOf } from "./Peer.ts"

const service = "bench"
const authority = `${service}.mesh`

/** What the first line of the command and the units of mesh-nodes/ give it too. */
export const runtimeFlags = ["--max-semi-space-size=2", "--single-threaded-gc"] as const

const build = join(root, "dist", "skein.js")

/** dist/, which must have been built from what is to be measured. */
export const builtProgram = (): string => {
  if (!existsSync(build)) throw new Error(`${build} is not there; npm run build makes it`)
  return build
}

/** What tells a node how many request threads it has. */
export const threadsVariable = "SKEIN_THREADS"

/** The program and arguments before the node's own; `threads` undefined: as many as it takes itself. */
export const runtimeOf = (
  threads: number | undefined,
  ...flags: ReadonlyArray<string>
): ReadonlyArray<string> => [
  // env becomes the node: the process that was started is the one that is measured.
  ...(threads === undefined ? [] : ["env", `${threadsVariable}=${threads}`]),
  process.execPath,
  ...runtimeFlags,
  ...flags
]

/** Each thread writes one of its own, under a name of its own. */
const profiling = (name: string, { profiles, threads }: Site): ReadonlyArray<string> => {
  if (profiles === undefined) return []
  if (threads !== undefined) {
    return ["--cpu-prof", "--cpu-prof-dir", join(profiles, `${name}-${threads}`)]
  }
  return ["--cpu-prof", "--cpu-prof-dir", profiles, "--cpu-prof-name", `${name}.cpuprofile`]
}

const host = (name: string, site: Site): HostOptions => ({
  runtime: runtimeOf(site.threads, ...profiling(name, site)),
  ...(site.built ? { program: builtProgram() } : {})
})

/** What a config calls it that the program speaks. */
const protocolOf = { http1: "http", http2: "http2", grpc: "grpc" } as const

export const startSkein: StartPair = async (site) => {
  const mesh = new TestMesh()
  const stop = async () => {
    // Only a process that ends by itself writes its profile.
    if (site.profiles !== undefined) await Promise.all(mesh.hosts.map((it) => it.stop()))
    await mesh.stop()
  }
  try {
    const a = await mesh.first("host-a", host("client-side", site))
    const b = await mesh.join("host-b", {
      ...host("server-side", site),
      services: [{ name: service, address: site.upstream, protocol: protocolOf[site.speech] }]
    })
    await until("host-a knows the service", async () =>
      JSON.stringify(await a.api(`services/${service}/endpoints`)).includes("host-b")
        ? true
        : undefined
    )
    const programs = [a.process, b.process].filter((it) => it !== undefined)
    const [client, server] = programs
    if (client === undefined || server === undefined) throw new Error("a node did not start")
    await answers("the Skein pair", a.proxy, authority, programs, site.speech)
    return {
      name: "skein",
      entry: a.proxy,
      host: authority,
      sides: { client: treeOf(client), server: treeOf(server) },
      nodes: [a, b],
      stop
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}
