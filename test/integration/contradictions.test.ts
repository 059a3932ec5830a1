/** Nodes whose configs contradict each other: said on every node, wherever an operator looks. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
let app: App
let hosts: ReadonlyArray<Host>

const text = async (host: Host, ...args: ReadonlyArray<string>) => {
  const { stdout, stderr } = await skein(...args, "--admin", host.admin)
  return stdout + stderr
}

const metrics = async (host: Host) => (await fetch(`http://${host.admin}/metrics`)).text()

beforeAll(async () => {
  app = await httpApp("web")
  const web = (protocol: string) => [{ name: "web", address: app.address, protocol }]
  const a = await mesh.first("host-a", { services: web("http") })
  const b = await mesh.join("host-b", { services: web("tcp") })
  hosts = [a, b]
  for (const host of hosts) {
    await until(`${host.name} finds the conflict`, async () =>
      (await metrics(host)).includes('skein_mesh_findings{kind="protocol_conflict"} 1')
        ? true
        : undefined
    )
  }
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

const sentence = "web is http on host-a, but tcp on host-b: calls use http, and host-b gets none"

describe("two nodes that declare different protocols for one service", () => {
  it.each([0, 1])("are shown on each of them (%i)", async (index) => {
    const host = hosts[index]!
    expect(await text(host, "services")).toMatch(/^web +http \(host-b: tcp\) +1\/1 +1 /m)
    const endpoints = await text(host, "endpoints", "web")
    expect(endpoints).toMatch(/^host-a.* healthy /m)
    expect(endpoints).toMatch(/^host-b.* left out: says tcp /m)
    expect(await text(host, "status")).toContain(sentence)
    const doctor = await skein("doctor", "--admin", host.admin)
    expect(doctor.stdout).toContain(`× protocols: ${sentence}\n    Set protocol of web`)
    expect(doctor.code).toBe(1)
    expect(await metrics(host)).toMatch(
      /^skein_service_endpoints\{service="web",state="left_out",in_use="false"\} 1$/m
    )
  })

  it("are told in the log of each, once", async () => {
    for (const host of hosts) {
      const lines = await until(`${host.name} tells its log`, () => {
        const found = (host.process?.output() ?? "")
          .split("\n")
          .filter((line) => line.includes("web is http on host-a"))
        return found.length > 0 ? found : undefined
      })
      expect(lines.length).toBe(1)
    }
  })

  it("calls go where the older node says, from both", async () => {
    for (const host of hosts) {
      const args = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", host.proxy]
      for (let i = 0; i < 4; i++) {
        expect((await run(program("curl"), [...args, "http://web.mesh/"])).stdout).toBe("200")
      }
    }
  })

  it("and once one is mended, all is well", async () => {
    const [a, b] = hosts
    b!.options = { services: [{ name: "web", address: app.address }] }
    b!.writeConfig()
    expect(await text(b!, "reload")).toContain("web")
    await until("host-a sees both", async () =>
      /^web +http +2\/2 +2 /m.test(await text(a!, "services")) ? true : undefined
    )
    expect(await metrics(a!)).toContain('skein_mesh_findings{kind="protocol_conflict"} 0')
  })
})

describe("a service that the certificate does not grant", () => {
  it("is named to who calls it, with the node and the mend", async () => {
    const [a] = hosts
    const token = await a!.invite("--services", "web")
    const c = await mesh.prepare("host-c", { services: [{ name: "cash", address: app.address }] })
    await c.up("--join", token)
    await until("host-a finds it", async () =>
      (await metrics(a!)).includes('skein_mesh_findings{kind="service_not_granted"} 1')
        ? true
        : undefined
    )
    const { stdout } = await run(program("curl"), ["-sS", "-x", a!.proxy, "http://cash.mesh/"])
    expect(JSON.parse(stdout)).toMatchObject({
      code: "route_not_found",
      message:
        "no node of the mesh offers a service named cash: host-c offers it, but its certificate does not grant it"
    })
    expect(await text(a!, "endpoints", "cash")).toContain(
      "no node of the mesh offers cash: host-c offers it, but its certificate does not grant it"
    )
    for (const host of [a!, c]) {
      expect(await text(host, "doctor")).toContain(
        "× grants: host-c offers cash, which its certificate does not grant"
      )
    }
  })
})
