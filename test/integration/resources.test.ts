/** A node that gets too little of what it needs: it says so, serves what it can, and recovers. */
import { readdirSync } from "node:fs"
import { createServer } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

afterAll(stopAll)

const call = async (host: Host, service: string): Promise<string> => {
  const { stdout } = await run(program("curl"), [
    ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", host.proxy],
    `http://${service}.mesh/`
  ])
  return stdout
}

describe("64 open files", () => {
  const limited = ["bash", "-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath]
  const mesh = new TestMesh()
  let a: Host
  let app: App

  beforeAll(async () => {
    app = await httpApp("web", (_, response) => response.end("ok"))
    const health = { http: { path: "/healthz", interval: "200ms", timeout: "2s" } }
    a = await mesh.first("host-a", { runtime: limited })
    await mesh.join("host-b", {
      runtime: limited,
      services: [{ name: "web", address: app.address, health }]
    })
    await until("host-a reaches web", async () =>
      (await call(a, "web")) === "200" ? true : undefined
    )
  })
  afterAll(async () => {
    await mesh.stop()
    await app.close()
  })

  it("and 100 clients: most calls are served, the rest get overflow, and the node can be asked", async () => {
    const load = new Load(a.proxy, "http://web.mesh/", 100)
    await until("a thousand calls", () => (load.tally.sent > 1_000 ? true : undefined))
    for (const host of mesh.hosts) {
      const metrics = await fetch(`http://${host.admin}/metrics`)
      expect(await metrics.text()).toContain("process_resident_memory_bytes")
    }
    const doctor = await skein("doctor", "--admin", a.admin)
    expect(doctor.code).toBe(0)
    expect(doctor.stdout).toMatch(/‼ open files: \d+ of 64 in use/)
    const [endpoint] = JSON.parse(
      (await skein("endpoints", "web", "--admin", a.admin, "-o", "json")).stdout
    )
    expect(endpoint).toMatchObject({ healthy: true, breaker: "closed", ejectedUntilAt: null })

    const { ok, failures } = await load.stop()
    const answered = [...failures].filter(([failure]) => failure.startsWith("503"))
    // These clients come back within 2 ms. Of what is answered most is served; who finds not even a
    // socket lent for the refusal is closed without a word.
    expect(ok).toBeGreaterThan(answered.reduce((sum, [, count]) => sum + count, 0))
    for (const [failure] of failures) {
      expect(failure).toMatch(/^503 overflow .*limit of open files|ECONNRESET|EPIPE|hang up/)
    }
    expect(await call(a, "web")).toBe("200")
    expect(a.process?.output()).toMatch(/limit of open files is 64.*LimitNOFILE/)
    expect(a.process?.output()).not.toMatch(/EMFILE/)
    expect(mesh.hosts[1]?.process?.output()).not.toMatch(/unhealthy|EMFILE/)
  })

  it("taken away behind its back are overflow, no endpoint's failure and no end of the process", async () => {
    // As in a program that opens files of its own: less is left than the node was told.
    const leave = async (host: Host, extra: number | undefined) => {
      const pid = String(host.process?.child.pid)
      const open = readdirSync(`/proc/${pid}/fd`).length
      const limit = extra === undefined ? 64 : open + extra
      const { code, stderr } = await run("prlimit", ["--pid", pid, `--nofile=${limit}:64`])
      if (code !== 0) throw new Error(`prlimit: ${stderr}`)
    }
    const [, b] = mesh.hosts
    if (b === undefined) throw new Error("there is no host-b")
    // Begun anew it keeps no connections to the program.
    await b.stop()
    await b.up()
    await until("host-a reaches web", async () =>
      (await call(a, "web")) === "200" ? true : undefined
    )
    await leave(b, 0)
    // Fewer than host-a has room for: its thread's own descriptors leave it 18.
    const load = new Load(a.proxy, "http://web.mesh/", 12)
    await until("an overflow of host-b", () =>
      [...load.tally.failures.keys()].some((failure) => /^503 overflow .*EMFILE/.test(failure))
        ? true
        : undefined
    )
    const asked = await skein("endpoints", "web", "--admin", a.admin, "-o", "json")
    expect(JSON.parse(asked.stdout)).toMatchObject([{ healthy: true, breaker: "closed" }])
    await leave(b, undefined)
    const { failures } = await load.stop()
    for (const [failure] of failures) expect(failure).toMatch(/^503 overflow/)
    expect(await call(a, "web")).toBe("200")
    expect(b.process?.output()).not.toMatch(/unhealthy/)
  })

  it("a node that does not answer is not called another program", async () => {
    const nothing = createServer().listen(0, "127.0.0.1")
    await until("a port without an admin API", () => (nothing.listening ? true : undefined))
    const address = nothing.address()
    const port = typeof address === "object" ? address?.port : undefined
    nothing.on("connection", (socket) => socket.destroy())
    const where = ["--config", a.configPath, "--admin", `127.0.0.1:${port}`]
    const { stdout } = await skein("doctor", ...where)
    nothing.close()
    expect(stdout).toContain(`most likely by this node itself (pid ${a.process?.child.pid})`)
    expect(stdout).not.toContain("another program")
  })
})
