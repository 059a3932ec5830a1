/** How calls are made resilient, by all who have a say in it: live, with real nodes and calls. */
import { writeFileSync } from "node:fs"
import http from "node:http"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host

/** Answers after this long, ms. */
const takes = 700

beforeAll(async () => {
  app = await httpApp("slow", (_, response) => {
    setTimeout(() => response.end("done"), takes)
  })
  // Calls that take too long are no reason here to leave the endpoint alone.
  const policy = { timeout: { request: "5s" }, breaker: "off", ejection: "off" }
  const slow = { name: "slow", address: app.address, policy }
  const tunnel = { name: "tunnel", address: app.address, protocol: "tcp" } as const
  a = await mesh.first("host-a", { services: [slow, tunnel], threads: 1 })
  b = await mesh.join("host-b", { threads: 2 })
  await until("host-b knows the service", async () =>
    JSON.stringify(await b.api("services")).includes('"healthy":1') ? true : undefined
  )
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

/** Through a connection of its own, so by any of the threads. */
const call = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host, port] = b.proxy.split(":")
    http
      .get({ host, port, path: "/", headers: { host: "slow.mesh" }, agent: false }, (response) => {
        response.resume()
        response.on("end", () =>
          resolve(`${response.statusCode} ${response.headers["skein-error"] ?? "-"}`)
        )
      })
      .on("error", reject)
  })

/** From all threads of the caller. */
const calls = async () => new Set(await Promise.all(Array.from({ length: 8 }, call)))

const setPolicy = async (request: string) => {
  const path = join(mesh.directory, "slow.yaml")
  writeFileSync(path, `kind: policy\nname: slow\ntimeout: { request: ${request} }\n`)
  const { code, stderr } = await skein("apply", "-f", path, "--admin", a.admin)
  expect([code, stderr]).toEqual([0, expect.stringContaining("seen by 2 of 2 reachable nodes")])
}

const explained = async () => {
  const { stdout } = await skein("policy", "explain", "slow", "--admin", b.admin)
  return /^timeout\.request .*$/m.exec(stdout)?.[0].split(/ {2,}/).slice(1).join(", ")
}

it("the service's own node says how it is called, where nobody else does", async () => {
  expect(await explained()).toBe("5s, its own node, host-a")
  expect(await calls()).toEqual(new Set(["200 -"]))
})

it("the mesh goes before it, on every node and thread, without a restart", async () => {
  await setPolicy("200ms")
  expect(await calls()).toEqual(new Set(["504 upstream_timeout"]))
  expect(await explained()).toMatch(/^200ms, the mesh, \S+ on host-a$/)
})

it("the caller's own config goes before the mesh", async () => {
  b.options = { ...b.options, policies: { slow: { timeout: { request: "4s" } } } }
  b.writeConfig()
  const { stderr } = await skein("reload", "--admin", b.admin)
  expect(stderr).toContain("policy slow added")
  expect(await calls()).toEqual(new Set(["200 -"]))
  expect(await explained()).toBe(`4s, this node's config, ${b.configPath}`)
})

it("what is taken back holds no more", async () => {
  b.options = { ...b.options, policies: {} }
  b.writeConfig()
  await skein("reload", "--admin", b.admin)
  expect(await calls()).toEqual(new Set(["504 upstream_timeout"]))
  await skein("delete", "policy", "slow", "--admin", a.admin)
  expect(await calls()).toEqual(new Set(["200 -"]))
  expect(await explained()).toBe("5s, its own node, host-a")
})

it("what a tunnel never meets is refused where it is said for the whole mesh", async () => {
  const path = join(mesh.directory, "tunnel.yaml")
  writeFileSync(path, "kind: policy\nname: tunnel\ntimeout: { perTry: 1s }\n")
  const { code, stderr } = await skein("apply", "-f", path, "--admin", a.admin)
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(
      "policy tunnel: timeout.perTry: for HTTP only, and the mesh offers tunnel as tcp; leave it out"
    )
  ])
  writeFileSync(path, "kind: policy\nname: tunnel\ntimeout: { tcpIdle: 1m }\n")
  expect((await skein("apply", "-f", path, "--admin", a.admin)).code).toBe(0)
})
