/** Services under names that programs just use, by the system's own ways of asking and calling. */

import { Resolver } from "node:dns/promises"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import net from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ServiceAddresses } from "../../src/dns/ServiceAddresses.ts"
import { parseAddressRange } from "../../src/model/AddressRange.ts"
import { ServiceName } from "../../src/model/Names.ts"
import { uniqueLocalOf } from "../../src/model/UniqueLocal.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const resolver = new Resolver({ timeout: 2_000, tries: 2 })
const bridge = new Resolver({ timeout: 2_000, tries: 2 })
const echo = net.createServer((socket) => socket.pipe(socket))
const block = "fd5c:6e1a:77::/64"
let app: App
let a: Host
let b: Host
/** At which services are called. */
let port: number

const resolved = (name: string): Promise<string> =>
  resolver.resolve4(name).then(
    ([address = ""]) => address,
    (error) => error.code
  )

/** As any program on the host that looked the name up. */
const curl = async (name: string, address: string) => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-m", "5", "--resolve", `${name}:${port}:${address}`, `http://${name}:${port}/x`]
  ])
  return stdout
}

beforeAll(async () => {
  const [dnsPort, echoPort] = [await freePort(), await freePort()]
  port = await freePort()
  await new Promise<void>((resolve) => echo.listen(echoPort, "127.0.0.1", resolve))
  app = await httpApp("payments", (request, response) => {
    response.end(`${request.headers.host} ${request.headers["skein-caller"]}`)
  })
  a = await mesh.first("host-a", {
    services: [
      { name: "payments", address: app.address, port },
      { name: "ledger", protocol: "tcp", address: `127.0.0.1:${echoPort}`, port },
      { name: "silent", protocol: "tcp", address: `127.0.0.1:${echoPort}` },
      { name: "busy", address: app.address, port }
    ]
  })
  b = await mesh.join("host-b", {
    dns: {
      ...{ listen: `127.0.0.1:${dnsPort}`, ttl: "1s", ipv6: block },
      // As the address of a bridge would be, of which containers ask.
      bridge: { listen: `127.0.0.2:${dnsPort}` }
    }
  })
  bridge.setServers([`127.0.0.2:${dnsPort}`])
  resolver.setServers([`127.0.0.1:${dnsPort}`])
})

afterAll(async () => {
  await mesh.stop()
  await app?.close()
  echo.close()
  await stopAll()
})

describe("names of services", () => {
  let payments: string

  it("lead to them, each by an address of its own", async () => {
    payments = await resolved("payments.mesh")
    expect(payments).toMatch(/^127\.(8\d|9[0-5])\./)
    expect(await curl("payments.mesh", payments)).toBe(`payments.mesh:${port} host/host-b`)
    const ledger = await resolved("ledger.mesh")
    expect(ledger).not.toBe(payments)
    const said = new Promise<string>((resolve, reject) => {
      const socket = net.connect(port, ledger, () => socket.write("hello"))
      socket.once("data", (bytes) => resolve(bytes.toString())).once("error", reject)
      socket.once("data", () => socket.destroy())
    })
    expect(await said).toBe("hello")
  })

  it("are found by their addresses, also by those of IPv6 that nothing listens at yet", async () => {
    const six = uniqueLocalOf(block, "payments")
    for (const address of [payments, six]) {
      expect(await resolver.reverse(address)).toEqual(["payments.mesh"])
    }
    await expect(resolver.reverse(six.replace(/[0-9a-f]+$/, "1"))).rejects.toMatchObject({
      code: "ENOTFOUND"
    })
  })

  it("all lead to the bridge for who asks there, where Host tells them apart", async () => {
    expect(await bridge.resolve4("payments.mesh")).toEqual(["127.0.0.2"])
    expect(await curl("payments.mesh", "127.0.0.2")).toBe(`payments.mesh:${port} host/host-b`)
    expect(await curl("nobody.mesh", "127.0.0.2")).toContain("route_not_found")
    // Of one port HTTP and bytes cannot both be.
    await expect(bridge.resolve4("ledger.mesh")).rejects.toMatchObject({ code: "ESERVFAIL" })
    expect(b.process?.output()).toContain("ledger.mesh cannot be called at 127.0.0.2: port")
  })

  it("that nobody has, or nobody could listen for, are said so", async () => {
    expect(await resolved("nobody.mesh")).toBe("ENOTFOUND")
    // It is known, and has no port to be called at.
    expect(await resolved("silent.mesh")).toBe("ENODATA")
    expect(await resolved("example.com")).toBe("EREFUSED")
    const range = parseAddressRange("127.80.0.0/12")
    if (typeof range === "string") throw new Error(range)
    const addresses = new ServiceAddresses(range)
    const busy = ServiceName.make("busy")
    addresses.add(busy)
    const other = net.createServer()
    await new Promise<void>((resolve) => other.listen(port, addresses.addressOf(busy), resolve))
    expect(await resolved("busy.mesh")).toBe("ESERVFAIL")
    expect(b.process?.output()).toContain("busy.mesh cannot be called by its name on this host")
    await new Promise((resolve) => other.close(resolve))
  })

  it("that were asked for lead somewhere after a restart, though nobody asks again", async () => {
    await b.stop()
    await b.up()
    await until("the port is open again", async () =>
      (await curl("payments.mesh", payments)) === "" ? undefined : true
    )
    expect(await curl("payments.mesh", payments)).toBe(`payments.mesh:${port} host/host-b`)
  })

  it("are gone with the last who offers them", async () => {
    a.options = { ...a.options, services: [] }
    a.writeConfig()
    a.process?.child.kill("SIGHUP")
    await until("nobody offers it", async () =>
      (await resolved("payments.mesh")) === "ENOTFOUND" ? true : undefined
    )
    await until("nobody listens", async () =>
      (await curl("payments.mesh", payments)) === "" ? true : undefined
    )
  })

  it("are found by all programs when the host's resolver is told whom to ask", async () => {
    const image = join(b.directory, "image")
    mkdirSync(join(image, "etc", "dnsmasq.d"), { recursive: true })
    const options = ["--admin", b.admin, "--root", image]
    const shown = await skein("dns", "install", "--print", ...options)
    expect(shown.stdout).toContain("server=/mesh/127.0.0.1#")
    const file = join(image, "etc", "dnsmasq.d", "skein-mesh.conf")
    expect(existsSync(file)).toBe(false)
    expect((await skein("dns", "install", ...options)).stderr).toContain("dnsmasq asks 127.0.0.1:")
    expect(readFileSync(file, "utf8")).toContain("rebind-domain-ok=/mesh/")
    expect((await skein("dns", "status", ...options)).stdout).toMatch(/^installed +dnsmasq/m)
    await skein("dns", "remove", "--root", image)
    expect(existsSync(file)).toBe(false)
    const without = await skein("dns", "install", "--admin", a.admin, "--root", image)
    expect(without.code).toBe(1)
    expect(without.stderr).toContain("host-a answers no names: write dns: {} in its config")
  })
})
