/** The shipped node definitions, as they stand: their configs, and what unit and container run. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { root, skein } from "../fixtures/Mesh.ts"
import { run, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-mesh-nodes-"))
const file = (role: string, name: string) => join(root, "mesh-nodes", role, name)
const roles = ["first-node", "service-host"] as const

afterAll(async () => {
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

const ready = (admin: string) =>
  until(
    `${admin} ready`,
    async () => ((await fetch(`http://${admin}/ready`)).ok ? true : undefined),
    30
  )

describe("mesh-nodes", () => {
  it.each(roles)("%s: the config is valid", async (role) => {
    const { code, stderr } = await skein("config", "check", file(role, "skein.yaml"))
    expect(stderr).not.toMatch(/error/i)
    expect(code).toBe(0)
  })

  it.each(roles)("%s: unit and container file start what the README starts", (role) => {
    const unit = readFileSync(file(role, "skein.service"), "utf8")
    const container = readFileSync(file(role, "Containerfile"), "utf8")
    const command = "up --config /etc/skein/skein.yaml --data-dir /var/lib/skein"
    expect(unit).toContain(`dist/skein.js ${command}`)
    expect(JSON.parse(/^CMD (\[.*\])$/m.exec(container)?.[1] ?? "[]").join(" ")).toBe(command)
    const seconds = Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1])
    const deadline = Number(
      /deadline: (\d+)s/.exec(readFileSync(file(role, "skein.yaml"), "utf8"))?.[1]
    )
    expect(seconds).toBeGreaterThan(deadline)
  })

  it("the first node admits the service host, whose service answers through both", async () => {
    const up = (role: string, ...more: ReadonlyArray<string>) =>
      start(process.execPath, [
        ...[join(root, "src", "main.ts"), "up", "--config", file(role, "skein.yaml")],
        ...["--data-dir", join(directory, role), ...more]
      ])
    start(program("python3"), [
      ...["-m", "http.server", "8081", "--bind", "127.0.0.1", "--directory", directory]
    ])
    const init = await skein(
      ...["init", "--data-dir", join(directory, "first-node"), "--name", "first-node"]
    )
    expect(init.code).toBe(0)
    const first = up("first-node")
    await ready("127.0.0.1:4191")
    const { stdout: token } = await skein("invite")
    const host = up("service-host", "--join", token.trim())
    await ready("127.0.0.1:4192")
    await until("hello answers", async () => {
      const { stdout } = await run(program("curl"), [
        ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", "127.0.0.1:4140"],
        "http://hello.mesh/"
      ])
      return stdout === "200" ? true : undefined
    })
    expect(await host.stop()).toBe(0)
    expect(await first.stop()).toBe(0)
  })
})
