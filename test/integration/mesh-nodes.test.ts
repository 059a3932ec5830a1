/**
 * The shipped node definitions: their configs, and what unit and container run. Nodes are started
 * from copies that differ in their ports alone, as other programs of this host may have the shipped
 * ones.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { root, skein } from "../fixtures/Mesh.ts"
import {
  freePort,
  type Running,
  run,
  runWell,
  start,
  stopAll,
  until
} from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const directory = mkdtempSync(join(tmpdir(), "skein-mesh-nodes-"))
const file = (role: string, name: string) => join(root, "mesh-nodes", role, name)
const roles = ["first-node", "service-host"] as const

afterAll(async () => {
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

const written = /(?<=127\.0\.0\.1:|\/127\.0\.0\.1\/tcp\/)\d+/g

/** A port of this host for each that the files name, in all of them the same. */
const freePorts = async (): Promise<ReadonlyMap<string, number>> => {
  const texts = roles.map((role) => readFileSync(file(role, "skein.yaml"), "utf8"))
  const ports = new Map<string, number>()
  for (const [port] of texts.join("").matchAll(written)) {
    if (!ports.has(port)) ports.set(port, await freePort())
  }
  return ports
}

const ready = (admin: string, node: Running) =>
  until(
    `${admin} ready`,
    async () => ((await fetch(`http://${admin}/ready`)).ok ? true : undefined),
    30,
    [node]
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
    // Without it nobody is called by name at port 80; with any other the node could do more than it has to.
    for (const set of ["CapabilityBoundingSet", "AmbientCapabilities"]) {
      expect(unit).toContain(`\n${set}=CAP_NET_BIND_SERVICE\n`)
    }
  })

  it("no shipped port is another one's, on the host that runs both", () => {
    const ports = roles.flatMap((role) =>
      readFileSync(file(role, "skein.yaml"), "utf8").replaceAll(/#.*/g, "").match(written)
    )
    expect(ports.length).toBe(7)
    expect(new Set(ports).size).toBe(ports.length)
  })

  it("the first node admits the service host, whose service answers through both", async () => {
    const ports = await freePorts()
    const at = (shipped: number) => `127.0.0.1:${ports.get(String(shipped))}`
    const config = (role: string): string => {
      const path = join(directory, `${role}.yaml`)
      const text = readFileSync(file(role, "skein.yaml"), "utf8")
      writeFileSync(
        path,
        text.replaceAll(written, (port) => String(ports.get(port)))
      )
      return path
    }
    const up = (role: string, ...more: ReadonlyArray<string>) =>
      start(
        process.execPath,
        [
          ...[join(root, "src", "main.ts"), "up", "--config", config(role)],
          ...["--data-dir", join(directory, role), ...more]
        ],
        { what: role }
      )
    const server = start(
      program("python3"),
      [
        ...["-m", "http.server", String(ports.get("8081")), "--bind", "127.0.0.1"],
        ...["--directory", directory]
      ],
      { what: "the service's program" }
    )
    await runWell(process.execPath, [
      ...[join(root, "src", "main.ts"), "init"],
      ...["--data-dir", join(directory, "first-node"), "--name", "first-node"]
    ])
    const first = up("first-node")
    await ready(at(4191), first)
    const { stdout: token } = await skein("invite", "--admin", at(4191))
    const host = up("service-host", "--join", token.trim())
    await ready(at(4192), host)
    await until(
      "hello answers",
      async () => {
        const { stdout } = await run(program("curl"), [
          ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", at(4140)],
          "http://hello.mesh/"
        ])
        return stdout === "200" ? true : undefined
      },
      20,
      [server, first, host]
    )
    expect(await host.stop()).toBe(0)
    expect(await first.stop()).toBe(0)
  })
})
