/** Two nodes with default config: host-a, where the load comes in, and host-b, which offers it. */
import { type HostOptions, TestMesh } from "../../test/fixtures/Mesh.ts"
import { until } from "../../test/fixtures/Processes.ts"
import { answers, type StartPair, treeOf } from "./Peer.ts"

const service = "bench"
const host = `${service}.mesh`

const runtime = (profiles: string | undefined, name: string): Pick<HostOptions, "runtime"> =>
  profiles === undefined
    ? {}
    : {
        runtime: [
          process.execPath,
          "--cpu-prof",
          ...["--cpu-prof-dir", profiles, "--cpu-prof-name", `${name}.cpuprofile`]
        ]
      }

export const startSkein: StartPair = async ({ upstream, profiles }) => {
  const mesh = new TestMesh()
  const stop = async () => {
    // Only a process that ends by itself writes its profile.
    if (profiles !== undefined) await Promise.all(mesh.hosts.map((it) => it.stop()))
    await mesh.stop()
  }
  try {
    const a = await mesh.first("host-a", runtime(profiles, "client-side"))
    const b = await mesh.join("host-b", {
      ...runtime(profiles, "server-side"),
      services: [{ name: service, address: upstream }]
    })
    await until("host-a knows the service", async () =>
      JSON.stringify(await a.api(`services/${service}/endpoints`)).includes("host-b")
        ? true
        : undefined
    )
    const programs = [a.process, b.process].filter((it) => it !== undefined)
    const [client, server] = programs
    if (client === undefined || server === undefined) throw new Error("a node did not start")
    await answers("the Skein pair", a.proxy, host, programs)
    return {
      name: "skein",
      entry: a.proxy,
      host,
      sides: { client: treeOf(client), server: treeOf(server) },
      stop
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}
