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

const host = (name: string, { built, profiles }: Site): HostOptions => ({
  runtime: [
    process.execPath,
    ...runtimeFlags,
    ...(profiles === undefined
      ? []
      : ["--cpu-prof", "--cpu-prof-dir", profiles, "--cpu-prof-name", `${name}.cpuprofile`])
  ],
  ...(built ? { program: builtProgram() } : {})
})

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
      services: [{ name: service, address: site.upstream }]
    })
    await until("host-a knows the service", async () =>
      JSON.stringify(await a.api(`services/${service}/endpoints`)).includes("host-b")
        ? true
        : undefined
    )
    const programs = [a.process, b.process].filter((it) => it !== undefined)
    const [client, server] = programs
    if (client === undefined || server === undefined) throw new Error("a node did not start")
    await answers("the Skein pair", a.proxy, authority, programs)
    return {
      name: "skein",
      entry: a.proxy,
      host: authority,
      sides: { client: treeOf(client), server: treeOf(server) },
      stop
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}
