/** Names where loopback does not reach: from a container's own network, and by IPv6. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { build } from "../fixtures/Mesh.ts"
import { NamespaceHost } from "../fixtures/NamespaceMesh.ts"
import { Namespaces } from "../fixtures/Namespaces.ts"
import { runWell, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const namespaces = new Namespaces(`skein-${process.pid}`, 2)
const block = "fd5c:6e1a:77::/64"
const directory = mkdtempSync(join(tmpdir(), "skein-containers-"))
const bridge = namespaces.address(0)
let host: NamespaceHost

/** Runs a module on the host (0) or in the container (1), and gives what it prints. */
const runIn = async (index: number, code: string): Promise<string> => {
  const [command = "", ...before] = namespaces.enter(index)
  const args = [...before, process.execPath, "--input-type=module", "-e", code]
  return (await runWell(command, args, { what: "a program" })).stdout.trim()
}

const asking = (server: string) =>
  `import { Resolver } from "node:dns/promises"; import http from "node:http";
   const resolver = new Resolver(); resolver.setServers(["${server}"]);
   const get = (host) => new Promise((resolve, reject) =>
     http.get({ host, headers: { host: "payments.mesh" } }, async (response) => {
       let text = ""; for await (const chunk of response) text += chunk; resolve(text) }).on("error", reject));`

beforeAll(async () => {
  const built = await build()
  await namespaces.make()
  const web = `require("node:http").createServer((request, response) =>
    response.end(request.headers.host + " " + request.headers["skein-caller"])).listen(8080, "127.0.0.1")`
  const [command = "", ...before] = namespaces.enter(0)
  start(command, [...before, process.execPath, "-e", web], { what: "the program" })
  const at = join(directory, "host-a")
  mkdirSync(at)
  host = new NamespaceHost("host-a", at, namespaces.enter(0), {
    ...built,
    services: [{ name: "payments", address: "127.0.0.1:8080" }],
    dns: { ipv6: block, bridge: { listen: `${bridge}:53`, allowRemote: true } }
  })
  host.writeConfig()
  await host.skein("init", "--data-dir", host.dataDir, "--name", "host-a")
  await host.up()
}, 300_000)

afterAll(async () => {
  await host?.stop()
  await stopAll()
  await namespaces.remove()
  rmSync(directory, { recursive: true })
})

describe("names", () => {
  it("lead from a container to the services of the mesh", async () => {
    const said = await runIn(
      1,
      `${asking(bridge)} const [at] = await resolver.resolve4("payments.mesh");
       console.log(at, await get(at))`
    )
    expect(said).toBe(`${bridge} payments.mesh host/host-a`)
  })

  it("have addresses of IPv6 once the host has the block", async () => {
    const six = () =>
      runIn(
        0,
        `${asking("127.0.0.1:5354")} const [at] = await resolver.resolve6("payments.mesh");
         console.log(at, await get(at), await resolver.reverse(at))`
      )
    await expect(six()).rejects.toThrow(/ENODATA/)
    expect(host.process?.output()).toContain(`ip -6 route add local ${block} dev lo`)
    const route = ["-6", "route", "add", "local", block, "dev", "lo"]
    await runWell(program("ip"), ["-n", namespaces.name(0), ...route], { what: "ip route" })
    const [command = "", ...before] = namespaces.enter(0)
    const nonlocal = ["sysctl", "-w", "net.ipv6.ip_nonlocal_bind=1"]
    await runWell(command, [...before, ...nonlocal], { what: "sysctl" })
    const said = await until("an address of IPv6", () => six().catch(() => undefined))
    expect(said).toMatch(/^fd5c:6e1a:77:0?:\S+ payments\.mesh host\/host-a \[ 'payments\.mesh' \]$/)
  })
})
